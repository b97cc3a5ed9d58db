//! Text to tokens. This never fails: what is no token becomes one that no grammar takes, so that
//! the first mistake in the text is the one that is told.

use super::operator::Operator;
use crate::mistake::{Mistake, quoted};
use std::borrow::Cow;
use winnow::combinator::{alt, delimited, preceded, repeat};
use winnow::error::EmptyError;
use winnow::prelude::*;
use winnow::stream::LocatingSlice;
use winnow::token::{any, take_while};

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) lexeme: Lexeme<'t>,
    /// In characters, from 1.
    pub(super) column: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Lexeme<'t> {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Comma,
    And,
    Or,
    Not,
    Operator(Operator),
    /// A name, a keyword, a value.
    Word(&'t str),
    /// A value that is just this text.
    Quoted(String),
    /// What is no token, and why.
    Bad(&'static str),
    End,
}

impl Token<'_> {
    /// A mistake: something else belongs here.
    pub(super) fn instead_of(&self, expected: &str) -> Mistake {
        let found = match &self.lexeme {
            Lexeme::Bad(why) => return Mistake::new(self.column, *why),
            Lexeme::End => Cow::Borrowed("the end"),
            Lexeme::Word(word) => quoted(word).into(),
            Lexeme::Quoted(text) => quoted(text).into(),
            Lexeme::Operator(operator) => format!("'{operator}'").into(),
            Lexeme::Open => "'('".into(),
            Lexeme::Close => "')'".into(),
            Lexeme::OpenBracket => "'['".into(),
            Lexeme::CloseBracket => "']'".into(),
            Lexeme::Comma => "','".into(),
            Lexeme::And => "'&&'".into(),
            Lexeme::Or => "'||'".into(),
            Lexeme::Not => "'!'".into(),
        };
        Mistake::new(self.column, format!("{expected} is expected here, not {found}"))
    }

    /// Whether it is this keyword, in any case.
    pub(super) fn is_word(&self, keyword: &str) -> bool {
        matches!(self.lexeme, Lexeme::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// The text of a value, and whether it was in quotes.
    pub(super) fn text(&self) -> Option<(&str, bool)> {
        match &self.lexeme {
            Lexeme::Word(word) => Some((word, false)),
            Lexeme::Quoted(text) => Some((text, true)),
            _ => None,
        }
    }
}

type Text<'t> = LocatingSlice<&'t str>;
type Lexed<T> = Result<T, EmptyError>;

/// All tokens of a text whose first character has this column, and the end.
pub(super) fn tokens(text: &str, first_column: usize) -> Vec<Token<'_>> {
    let mut input = LocatingSlice::new(text);
    let lexed: Lexed<Vec<_>> = repeat(0.., preceded(space, lexeme.with_span())).parse_next(&mut input);
    let mut counted = (0, first_column);
    let mut place = |lexeme, offset: usize| {
        counted = (offset, counted.1 + text[counted.0..offset].chars().count());
        Token { lexeme, column: counted.1 }
    };
    let mut tokens: Vec<_> =
        lexed.unwrap_or_default().into_iter().map(|(lexeme, span)| place(lexeme, span.start)).collect();
    tokens.push(place(Lexeme::End, text.trim_end().len()));
    tokens
}

fn space(input: &mut Text<'_>) -> Lexed<()> {
    take_while(0.., char::is_whitespace).void().parse_next(input)
}

fn lexeme<'t>(input: &mut Text<'t>) -> Lexed<Lexeme<'t>> {
    alt((operator, punctuation, quote, word.map(Lexeme::Word), any.map(stray))).parse_next(input)
}

fn operator<'t>(input: &mut Text<'t>) -> Lexed<Lexeme<'t>> {
    alt((
        "==".value(Operator::Equal),
        "!=".value(Operator::NotEqual),
        "<=".value(Operator::LessOrEqual),
        ">=".value(Operator::MoreOrEqual),
        "<".value(Operator::Less),
        ">".value(Operator::More),
    ))
    .map(Lexeme::Operator)
    .parse_next(input)
}

fn punctuation<'t>(input: &mut Text<'t>) -> Lexed<Lexeme<'t>> {
    alt((
        "(".value(Lexeme::Open),
        ")".value(Lexeme::Close),
        "[".value(Lexeme::OpenBracket),
        "]".value(Lexeme::CloseBracket),
        ",".value(Lexeme::Comma),
        "&&".value(Lexeme::And),
        "||".value(Lexeme::Or),
        "!".value(Lexeme::Not),
    ))
    .parse_next(input)
}

/// Text in quotes of either kind, where a backslash takes away the next character's meaning.
fn quote<'t>(input: &mut Text<'t>) -> Lexed<Lexeme<'t>> {
    let mut mark = alt(('"', '\'')).parse_next(input)?;
    let plain = take_while(1.., move |one| one != mark && one != '\\').map(|text: &str| text.to_owned());
    let escaped = preceded('\\', any).map(String::from);
    let text =
        repeat(0.., alt((plain, escaped))).fold(String::new, |all, part| all + &part).parse_next(input)?;
    let closed: Lexed<char> = mark.parse_next(input);
    Ok(closed.map_or(Lexeme::Bad("this quote is not closed"), |_| Lexeme::Quoted(text)))
}

/// Characters of words; brackets with something in them also belong to a word that they do not begin.
fn word<'t>(input: &mut Text<'t>) -> Lexed<&'t str> {
    let plain = || take_while(1.., is_plain).void();
    let class = delimited('[', take_while(1.., |one| one == '!' || is_plain(one)), ']').void();
    (plain(), repeat::<_, _, (), _, _>(0.., alt((plain(), class)))).take().parse_next(input)
}

/// Whether a character may stand in a word.
pub(super) fn is_plain(one: char) -> bool {
    !one.is_whitespace() && !one.is_control() && !"()[],\"'\\=<>!&|".contains(one)
}

fn stray<'t>(one: char) -> Lexeme<'t> {
    Lexeme::Bad(match one {
        '=' => "'=' is not an operator: write '=='",
        '&' => "'&' is not an operator: write '&&' or 'and'",
        '|' => "'|' is not an operator: write '||' or 'or'",
        _ => "this character belongs between quotes",
    })
}
