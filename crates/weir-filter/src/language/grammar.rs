//! Tokens to the tree.
//!
//! Each alternative is told by its first token, so that a mistake is final where it is met.

use super::operator::Operator;
use super::tokens::{Lexeme, Token};
use super::{DEEPEST, subject, values};
use crate::expression::{Check, Expression, Subject, Test};
use crate::mistake::Mistake;
use weir_record::Kind;
use winnow::Parser;
use winnow::combinator::{repeat, separated};
use winnow::error::ParserError;
use winnow::stream::{Stateful, Stream, TokenSlice};
use winnow::token::any;

/// Tokens, and how deep in parentheses they stand.
type Tokens<'t> = Stateful<TokenSlice<'t, Token<'t>>, usize>;
type Parsed<T> = Result<T, Fault>;

/// Why a parser did not take what it met.
enum Fault {
    /// It is for another parser.
    NotMine,
    /// It is for none.
    Mistake(Mistake),
}

impl From<Mistake> for Fault {
    fn from(mistake: Mistake) -> Self {
        Self::Mistake(mistake)
    }
}

impl<I: Stream> ParserError<I> for Fault {
    type Inner = Mistake;

    fn from_input(_: &I) -> Self {
        Self::NotMine
    }

    fn is_backtrack(&self) -> bool {
        matches!(self, Self::NotMine)
    }

    fn into_inner(self) -> Result<Mistake, Self> {
        match self {
            Self::Mistake(mistake) => Ok(mistake),
            Self::NotMine => Err(self),
        }
    }
}

/// Reads all tokens as one expression.
pub(super) fn parse(tokens: &[Token<'_>]) -> Result<Expression, Mistake> {
    let mut input = Stateful { input: TokenSlice::new(tokens), state: 0 };
    let whole = expression(&mut input).and_then(|whole| {
        let left = peek(&input)?;
        if left.lexeme == Lexeme::End {
            Ok(whole)
        } else {
            Err(left.instead_of("'and', 'or' or the end").into())
        }
    });
    whole.map_err(|fault| match fault {
        Fault::Mistake(mistake) => mistake,
        Fault::NotMine => Mistake::new(1, "this is not a filter"),
    })
}

fn peek<'t>(input: &Tokens<'t>) -> Parsed<&'t Token<'t>> {
    input.peek_token().ok_or(Fault::NotMine)
}

/// A token of this meaning, or its keyword.
fn one<'t>(lexeme: Lexeme<'static>, keyword: &'static str) -> impl Parser<Tokens<'t>, (), Fault> {
    any.verify(move |token: &&Token<'t>| token.lexeme == lexeme || token.is_word(keyword)).void()
}

fn expression(input: &mut Tokens<'_>) -> Parsed<Expression> {
    separated(1.., conjunction, one(Lexeme::Or, "or")).map(Expression::any).parse_next(input)
}

fn conjunction(input: &mut Tokens<'_>) -> Parsed<Expression> {
    separated(1.., negation, one(Lexeme::And, "and")).map(Expression::all).parse_next(input)
}

fn negation(input: &mut Tokens<'_>) -> Parsed<Expression> {
    let odd = repeat(0.., one(Lexeme::Not, "not")).fold(|| false, |odd, ()| !odd).parse_next(input)?;
    let term = term(input)?;
    Ok(if odd { term.negated() } else { term })
}

fn term(input: &mut Tokens<'_>) -> Parsed<Expression> {
    let open = peek(input)?;
    if open.lexeme != Lexeme::Open {
        return test(input);
    }
    if input.state == DEEPEST {
        let message = format!("parentheses nest at most {DEEPEST} deep");
        return Err(Mistake::new(open.column, message).into());
    }
    input.next_token();
    input.state += 1;
    let inner = expression(input)?;
    input.state -= 1;
    expect(input, &Lexeme::Close, "'and', 'or' or ')'")?;
    Ok(inner)
}

fn expect(input: &mut Tokens<'_>, lexeme: &Lexeme<'static>, expected: &str) -> Parsed<()> {
    let token = peek(input)?;
    if token.lexeme != *lexeme {
        return Err(token.instead_of(expected).into());
    }
    input.next_token();
    Ok(())
}

fn test(input: &mut Tokens<'_>) -> Parsed<Expression> {
    let first = peek(input)?;
    let Lexeme::Word(name) = first.lexeme else {
        return Err(first.instead_of("a field").into());
    };
    if ["and", "or", "not", "in", "has"].iter().any(|keyword| first.is_word(keyword)) {
        return Err(first.instead_of("a field").into());
    }
    let subject = subject(name, first.column)?;
    input.next_token();
    let next = peek(input)?;
    let operator = match next.lexeme {
        Lexeme::Operator(operator) => Some(operator),
        Lexeme::Word(word) => Operator::from_word(word),
        _ => None,
    };
    let of = |check| Test { subject, check, column: first.column };
    let Some(operator) = operator else {
        return match (subject.field().kind, &next.lexeme) {
            (Kind::Flag, lexeme) if !matches!(lexeme, Lexeme::Bad(_)) => {
                Ok(Expression::Test(of(Check::Flag(true))))
            }
            _ => Err(values::missing_operator(subject, next).into()),
        };
    };
    input.next_token();
    values::admit(subject, operator, next.column)?;
    let parts = values::by_kind(subject, operator, list(input)?)?;
    let test = |(subject, values): (Subject, Vec<&Token<'_>>)| {
        let (check, negate) = values::check(subject, operator, &values)?;
        let test = Expression::Test(Test { subject, ..of(check) });
        Ok(if negate { test.negated() } else { test })
    };
    Ok(Expression::any(parts.into_iter().map(test).collect::<Parsed<_>>()?))
}

/// One value or several, with or without brackets around.
fn list<'t>(input: &mut Tokens<'t>) -> Parsed<Vec<&'t Token<'t>>> {
    let closing = match peek(input)?.lexeme {
        Lexeme::Open => Some((Lexeme::Close, "',' or ')'")),
        Lexeme::OpenBracket => Some((Lexeme::CloseBracket, "',' or ']'")),
        _ => None,
    };
    if closing.is_some() {
        input.next_token();
    }
    let values = separated(1.., value, one(Lexeme::Comma, ",")).parse_next(input)?;
    if let Some((closing, expected)) = closing {
        expect(input, &closing, expected)?;
    }
    Ok(values)
}

fn value<'t>(input: &mut Tokens<'t>) -> Parsed<&'t Token<'t>> {
    let token = peek(input)?;
    if token.text().is_none() {
        return Err(token.instead_of("a value").into());
    }
    input.next_token();
    Ok(token)
}
