//! kubeconfig files: which cluster, and who we are there.

use crate::access::{self, Access, Answers, Content, Credentials};
use crate::error::Failure;
use crate::yaml;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Config {
    current_context: Option<String>,
    contexts: Vec<Context>,
    clusters: Vec<Cluster>,
    users: Vec<User>,
}

#[derive(Deserialize)]
struct Context {
    name: String,
    context: Pair,
}

#[derive(Deserialize)]
struct Pair {
    cluster: String,
    user: Option<String>,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    cluster: Server,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Server {
    server: String,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
}

#[derive(Deserialize)]
struct User {
    name: String,
    user: Option<Proof>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Proof {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
}

/// Reads what the file's current context says.
///
/// # Errors
/// One line: the file, what is wrong with it, and what to do.
pub fn read(path: &Path) -> Result<Access, Failure> {
    let text = String::from_utf8_lossy(&access::file(path)?).into_owned();
    let folder = path.parent().unwrap_or(Path::new("."));
    of_text(&text, folder).map_err(|what| Failure::Configuration(format!("{}: {what}", path.display())))
}

/// Paths in it are seen from the file's own folder.
fn of_text(text: &str, folder: &Path) -> Result<Access, String> {
    let config: Config = serde_json::from_value(yaml::read(text)?).map_err(|error| error.to_string())?;
    let name = config.current_context.ok_or("it has no current-context: set one")?;
    let context = config.contexts.into_iter().find(|one| one.name == name);
    let Pair { cluster, user } = context.ok_or(format!("it has no context called {name}"))?.context;
    let found = config.clusters.into_iter().find(|one| one.name == cluster);
    let server = found.ok_or(format!("it has no cluster called {cluster}"))?.cluster;
    let proof = match user.filter(|user| !user.is_empty()) {
        None => Proof::default(),
        Some(name) => {
            let user = config.users.into_iter().find(|one| one.name == name);
            user.ok_or(format!("it has no user called {name}"))?.user.unwrap_or_default()
        }
    };
    let place = Place { folder };
    let authority = place.content(server.certificate_authority, server.certificate_authority_data)?;
    let authority = authority.ok_or(format!("cluster {cluster} has no certificate-authority: give one"))?;
    if !server.server.starts_with("https://") {
        return Err(format!("cluster {cluster} is not at https://…: only that is asked"));
    }
    Ok(Access {
        server: server.server.trim_end_matches('/').to_owned(),
        answers: Answers::ApiServer,
        authorities: vec![authority],
        credentials: place.credentials(proof)?,
    })
}

/// Where the file lies.
struct Place<'a> {
    folder: &'a Path,
}

impl Place<'_> {
    /// What stands in the file itself comes first.
    fn content(&self, path: Option<String>, data: Option<String>) -> Result<Option<Content>, String> {
        match (path, data) {
            (_, Some(data)) => Content::of_base64(&data).map(Some),
            (Some(path), None) => Ok(Some(Content::File(self.folder.join(path)))),
            (None, None) => Ok(None),
        }
    }

    fn credentials(&self, proof: Proof) -> Result<Credentials, String> {
        let certificate = self.content(proof.client_certificate, proof.client_certificate_data)?;
        let key = self.content(proof.client_key, proof.client_key_data)?;
        let token_file = proof.token_file.map(|path| Content::File(self.folder.join(path)));
        let token = token_file.or(proof.token.map(|token| Content::Inline(token.into_bytes())));
        match (certificate, key, token) {
            (Some(certificate), Some(key), _) => Ok(Credentials::Certificate(certificate, key)),
            (_, _, Some(token)) => Ok(Credentials::Token(token)),
            _ => Err(
                "its user has neither a token nor a client certificate with its key: other ways to log in, \
                      such as exec, are not followed"
                    .into(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "
apiVersion: v1
kind: Config
preferences: {}
current-context: b
contexts:
- {name: a, context: {cluster: x, user: y}}
- name: b
  context: {cluster: main, user: weir, namespace: default}
clusters:
- name: main
  cluster:
    certificate-authority-data: aGVs
      bG8=
    server: https://10.0.0.1:6443/
users:
- name: weir
  user: {client-certificate: me.crt, client-key: /keys/me.key}
";

    #[test]
    fn the_current_context_says_all() {
        let access = of_text(WHOLE, Path::new("/etc/kube")).expect("it is whole");
        assert_eq!(access.server, "https://10.0.0.1:6443");
        assert!(access.authorities == [Content::Inline(b"hello".into())]);
        let (certificate, key) =
            (Content::File("/etc/kube/me.crt".into()), Content::File("/keys/me.key".into()));
        assert!(access.credentials == Credentials::Certificate(certificate, key));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let refused = |from: &str, to: &str| {
            assert!(WHOLE.contains(from), "{from}");
            of_text(&WHOLE.replace(from, to), Path::new(".")).map(|_| ()).expect_err("refused")
        };
        assert!(refused("current-context: b", "").contains("current-context"));
        assert!(refused("current-context: b", "current-context: c").contains("no context called c"));
        assert!(refused("cluster: main,", "cluster: other,").contains("no cluster called other"));
        assert!(refused("user: weir,", "user: other,").contains("no user called other"));
        assert!(refused("https://", "http://").contains("https"));
        assert!(
            refused("{client-certificate: me.crt, client-key: /keys/me.key}", "{exec: {}}").contains("exec")
        );
        assert!(refused("certificate-authority-data", "other").contains("certificate-authority"));
        assert!(refused("aGVs", "a$Vs").contains("base64"));
        assert!(refused("kind: Config", "kind: [").contains("line"));
    }

    #[test]
    fn a_token_may_stand_there_or_in_a_file() {
        let with = |user: &str| {
            let text = WHOLE.replace("{client-certificate: me.crt, client-key: /keys/me.key}", user);
            of_text(&text, Path::new("/etc")).expect("it is whole").credentials
        };
        assert!(with("{token: abc}") == Credentials::Token(Content::Inline(b"abc".into())));
        assert!(with("{tokenFile: t, token: abc}") == Credentials::Token(Content::File("/etc/t".into())));
    }
}
