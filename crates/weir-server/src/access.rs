//! Who may ask: whoever knows the token, and on this host root and the agent's own user without one.

use crate::Problem;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, ORIGIN};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Whose a connection is: the user of the socket that goes from the first end to the second one. None where there is no
/// such socket any more.
pub type OwnerOf = Box<dyn Fn(SocketAddr, SocketAddr) -> io::Result<Option<u32>> + Send + Sync>;

/// What proxies add.
const FORWARDED: [&str; 7] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
];

/// A secret that lets in whoever knows it.
pub struct Token(String);

impl Token {
    /// Of a file's content: one line, without what is around it.
    ///
    /// # Errors
    /// It is none that can be sent in a header, or one that can be guessed.
    pub fn new(text: &str) -> Result<Self, String> {
        let token = text.trim();
        if token.len() < 16 {
            return Err("a token has at least 16 characters: openssl rand -hex 32".into());
        }
        match token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(token.into())),
            false => Err("a token is one word of ASCII characters".into()),
        }
    }

    /// Takes as long for a near miss as for any other.
    fn is(&self, other: &str) -> bool {
        let differences = self.0.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
        self.0.len() == other.len() && differences == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

/// Who is let in.
pub struct Access {
    /// Whoever knows this.
    pub token: Option<Token>,
    /// These users of this host.
    pub users: Vec<u32>,
    /// How it is found out whose a connection is.
    pub owner: OwnerOf,
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Access for {:?}", self.users)
    }
}

impl Access {
    /// Lets `client` in, or says why not.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        (client, server): (SocketAddr, SocketAddr),
    ) -> Result<(), Problem> {
        let given = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        if let Some(given) = given {
            let is_right = given
                .split_once(' ')
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .zip(self.token.as_ref())
                .is_some_and(|((_, given), token)| token.is(given.trim()));
            return if is_right { Ok(()) } else { Err(Problem::stranger("this is not the agent's token")) };
        }
        // A page that a browser of such a user shows is not that user.
        if !is_plain(headers) {
            return Err(self.refusal("a page of elsewhere may not ask without a token"));
        }
        if !client.ip().to_canonical().is_loopback() {
            return Err(self.refusal("only over the loopback address anybody may ask without a token"));
        }
        // Whoever asks through a proxy is not the proxy.
        if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
            return Err(self.refusal("through a proxy nobody may ask without a token"));
        }
        match (self.owner)(client, server) {
            Ok(Some(user)) if self.users.contains(&user) => Ok(()),
            Ok(_) => Err(self.refusal("without a token only root and the agent's own user may ask")),
            Err(error) => {
                Err(self.refusal(&format!("the kernel does not tell whose this connection is ({error})")))
            }
        }
    }

    fn refusal(&self, why: &str) -> Problem {
        match self.token {
            Some(_) => Problem::stranger(format!("{why}: Authorization: Bearer TOKEN")),
            None => Problem::forbidden(format!("{why}: start the agent with --api-token-file FILE")),
        }
    }
}

/// Whether it is asked by this host's own name, and by no page of elsewhere (DNS rebinding, cross-site requests).
fn is_plain(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(host) = text(HOST) else { return true };
    let is_own = |name: &str| name == "localhost" || name.parse::<IpAddr>().is_ok();
    is_own(name_of(host)) && text(ORIGIN).is_none_or(|origin| origin == format!("http://{host}"))
}

/// Without its port and brackets.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    const SECRET: &str = "0123456789abcdef";

    fn access(token: bool, owner: io::Result<Option<u32>>) -> Access {
        let owner = owner.map_err(|error| error.kind());
        Access {
            token: token.then(|| Token::new(SECRET).expect("a token")),
            users: vec![0, 42],
            owner: Box::new(move |_, _| owner.map_err(io::Error::from)),
        }
    }

    fn asked(access: &Access, client: &str, headers: &[(HeaderName, &str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value)));
        let headers = headers.map(|(name, value)| (name, value.expect("a header"))).collect();
        let ends = (client.parse().expect(client), "127.0.0.1:7979".parse().expect("an end"));
        access.admit(&headers, ends).map_or_else(|problem| problem.status(), |()| 200)
    }

    #[test]
    fn a_user_of_this_host_needs_no_token() {
        for (owner, status) in [(Ok(Some(0)), 200), (Ok(Some(42)), 200), (Ok(Some(7)), 403), (Ok(None), 403)]
        {
            assert_eq!(asked(&access(false, owner), "127.0.0.1:5000", &[]), status);
        }
        assert_eq!(asked(&access(false, Ok(Some(0))), "[::1]:5000", &[]), 200);
        assert_eq!(asked(&access(false, Ok(Some(0))), "[::ffff:127.0.0.1]:5000", &[]), 200);
        assert_eq!(asked(&access(false, Ok(Some(0))), "192.0.2.1:5000", &[]), 403);
        assert_eq!(asked(&access(true, Ok(Some(7))), "127.0.0.1:5000", &[]), 401);
        assert_eq!(asked(&access(false, Err(io::ErrorKind::NotFound.into())), "127.0.0.1:5000", &[]), 403);
    }

    #[test]
    fn the_token_is_good_from_everywhere_and_a_wrong_one_from_nowhere() {
        let bearer = |word: &str| format!("Bearer {word}");
        let with = |access: &Access, word: &str| {
            let values = [bearer(word), word.to_owned()];
            values.map(|value| asked(access, "192.0.2.1:5000", &[(AUTHORIZATION, &value)]))
        };
        assert_eq!(with(&access(true, Ok(None)), SECRET), [200, 401]);
        assert_eq!(with(&access(true, Ok(None)), "0123456789abcdeF"), [401, 401]);
        assert_eq!(with(&access(true, Ok(None)), "0123456789abcdef0"), [401, 401]);
        assert_eq!(with(&access(false, Ok(None)), SECRET), [401, 401]);
        let root = access(true, Ok(Some(0)));
        assert_eq!(asked(&root, "127.0.0.1:5000", &[(AUTHORIZATION, "Bearer wrong")]), 401);
    }

    #[test]
    fn pages_of_elsewhere_are_not_let_in() {
        let access = access(false, Ok(Some(0)));
        let from = |host: &str, origin: Option<&str>| {
            let origin = origin.map(|origin| (ORIGIN, origin));
            let headers: Vec<_> = [(HOST, host)].into_iter().chain(origin).collect();
            asked(&access, "127.0.0.1:5000", &headers)
        };
        assert_eq!(from("localhost:7979", None), 200);
        assert_eq!(from("127.0.0.1:7979", Some("http://127.0.0.1:7979")), 200);
        assert_eq!(from("[::1]:7979", None), 200);
        assert_eq!(from("evil.example:7979", None), 403);
        assert_eq!(from("localhost.evil.example", None), 403);
        assert_eq!(from("localhost:7979", Some("http://evil.example")), 403);
        assert_eq!(from("localhost:7979", Some("null")), 403);
        let forwarded = HeaderName::from_static("x-forwarded-for");
        assert_eq!(asked(&access, "127.0.0.1:5000", &[(forwarded, "192.0.2.1")]), 403);
    }

    #[test]
    fn tokens_that_can_be_guessed_are_none() {
        assert!(Token::new("short\n").is_err_and(|said| said.contains("16")));
        assert!(Token::new("two words are no token").is_err_and(|said| said.contains("one word")));
        assert!(Token::new(" 0123456789abcdef\n").is_ok_and(|token| token.is(SECRET)));
    }
}
