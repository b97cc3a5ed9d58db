//! Tokens to the tree.
//!
//! Each alternative is told by its first token, so that a mistake is final where it is met.

use super::operator::Operator;
use super::tokens::{Lexeme, Token};
use super::vocabulary::Vocabulary;
use super::{DEEPEST, values};
use crate::expression::{Check, Expression, Test};
use crate::mistake::Mistake;
use crate::subject::Testable;
use weir_record::Kind;
use winnow::Parser;
use winnow::combinator::{repeat, separated};
use winnow::error::ParserError;
use winnow::stream::{Stateful, Stream, TokenSlice};
use winnow::token::any;

/// Tokens, and where they stand.
type Tokens<'t, V> = Stateful<TokenSlice<'t, Token<'t>>, Within<V>>;
type Parsed<T> = Result<T, Fault>;

/// Where tokens stand.
#[derive(Debug, Clone)]
struct Within<V> {
    /// Which names there are.
    names: V,
    /// How deep in parentheses.
    depth: usize,
}

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
pub(super) fn parse<V: Vocabulary>(
    tokens: &[Token<'_>],
    names: V,
) -> Result<Expression<V::Subject>, Mistake> {
    let mut input = Stateful { input: TokenSlice::new(tokens), state: Within { names, depth: 0 } };
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

fn peek<'t, V: Vocabulary>(input: &Tokens<'t, V>) -> Parsed<&'t Token<'t>> {
    input.peek_token().ok_or(Fault::NotMine)
}

/// A token of this meaning, or its keyword.
fn one<'t, V: Vocabulary>(
    lexeme: Lexeme<'static>,
    keyword: &'static str,
) -> impl Parser<Tokens<'t, V>, (), Fault> {
    any.verify(move |token: &&Token<'t>| token.lexeme == lexeme || token.is_word(keyword)).void()
}

fn expression<V: Vocabulary>(input: &mut Tokens<'_, V>) -> Parsed<Expression<V::Subject>> {
    separated(1.., conjunction, one(Lexeme::Or, "or")).map(Expression::any).parse_next(input)
}

fn conjunction<V: Vocabulary>(input: &mut Tokens<'_, V>) -> Parsed<Expression<V::Subject>> {
    separated(1.., negation, one(Lexeme::And, "and")).map(Expression::all).parse_next(input)
}

fn negation<V: Vocabulary>(input: &mut Tokens<'_, V>) -> Parsed<Expression<V::Subject>> {
    let odd = repeat(0.., one(Lexeme::Not, "not")).fold(|| false, |odd, ()| !odd).parse_next(input)?;
    let term = term(input)?;
    Ok(if odd { term.negated() } else { term })
}

fn term<V: Vocabulary>(input: &mut Tokens<'_, V>) -> Parsed<Expression<V::Subject>> {
    let open = peek(input)?;
    if open.lexeme != Lexeme::Open {
        return test(input);
    }
    if input.state.depth == DEEPEST {
        let message = format!("parentheses nest at most {DEEPEST} deep");
        return Err(Mistake::new(open.column, message).into());
    }
    input.next_token();
    input.state.depth += 1;
    let inner = expression(input)?;
    input.state.depth -= 1;
    expect(input, &Lexeme::Close, "'and', 'or' or ')'")?;
    Ok(inner)
}

fn expect<V: Vocabulary>(input: &mut Tokens<'_, V>, lexeme: &Lexeme<'static>, expected: &str) -> Parsed<()> {
    let token = peek(input)?;
    if token.lexeme != *lexeme {
        return Err(token.instead_of(expected).into());
    }
    input.next_token();
    Ok(())
}

fn test<V: Vocabulary>(input: &mut Tokens<'_, V>) -> Parsed<Expression<V::Subject>> {
    let first = peek(input)?;
    let Lexeme::Word(name) = first.lexeme else {
        return Err(first.instead_of("a field").into());
    };
    if ["and", "or", "not", "in", "has"].iter().any(|keyword| first.is_word(keyword)) {
        return Err(first.instead_of("a field").into());
    }
    let names = input.state.names;
    let subject = names.subject(name, first.column)?;
    input.next_token();
    let next = peek(input)?;
    let operator = match next.lexeme {
        Lexeme::Operator(operator) => Some(operator),
        Lexeme::Word(word) => Operator::from_word(word),
        _ => None,
    };
    let Some(operator) = operator else {
        return match (subject.sort().kind, &next.lexeme) {
            (Kind::Flag, lexeme) if !matches!(lexeme, Lexeme::Bad(_)) => {
                Ok(Expression::Test(Test { subject, check: Check::Flag(true), column: first.column }))
            }
            _ => Err(values::missing_operator(&subject, next).into()),
        };
    };
    input.next_token();
    values::admit(&subject, operator, next.column)?;
    let parts = values::by_kind(names, subject, operator, list(input)?)?;
    let test = |(subject, values): (V::Subject, Vec<&Token<'_>>)| {
        let (check, negate) = values::check(&subject, operator, &values)?;
        let test = Expression::Test(Test { subject, check, column: first.column });
        Ok(if negate { test.negated() } else { test })
    };
    Ok(Expression::any(parts.into_iter().map(test).collect::<Parsed<_>>()?))
}

/// One value or several, with or without brackets around.
fn list<'t, V: Vocabulary>(input: &mut Tokens<'t, V>) -> Parsed<Vec<&'t Token<'t>>> {
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

fn value<'t, V: Vocabulary>(input: &mut Tokens<'t, V>) -> Parsed<&'t Token<'t>> {
    let token = peek(input)?;
    if token.text().is_none() {
        return Err(token.instead_of("a value").into());
    }
    input.next_token();
    Ok(token)
}
