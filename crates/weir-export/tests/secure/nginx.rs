//! nginx: who is let in and what they have posted, by its own logs.

use crate::authority::{Authority, Certified};
use crate::web;
use std::fs;
use weir_tests::folder::Folder;
use weir_tests::free_port;
use weir_tests::shell::Shell;

/// Behind `/basic` a password is asked for, behind `/token` a token, and behind `/certificate` nothing but TLS's own.
const CONFIGURATION: &str = r#"
daemon off; master_process off; pid PLACE/nginx.pid; events { }
http {
    client_body_temp_path PLACE/t; proxy_temp_path PLACE/t; fastcgi_temp_path PLACE/t; uwsgi_temp_path PLACE/t;
    scgi_temp_path PLACE/t; client_max_body_size 1m; client_body_buffer_size 1m;
    log_format answer escape=none '$status $uri $remote_user';
    log_format body escape=none '$request_body';
    map $status $is_taken { 204 1; default 0; }
    server { listen unix:PLACE/inner.sock; access_log off; return 204; }
    server {
        listen 127.0.0.1:PORT ssl;
        ssl_certificate CERTIFICATE; ssl_certificate_key KEY; ssl_client_certificate CLIENTS; ssl_verify_client VERIFY;
        access_log PLACE/answers answer; access_log PLACE/bodies body if=$is_taken;
        location /basic { auth_basic weir; auth_basic_user_file PLACE/users; proxy_pass http://unix:PLACE/inner.sock; }
        location /token {
            if ($http_authorization != "Bearer s3cret-token") { return 401; }
            proxy_pass http://unix:PLACE/inner.sock;
        }
        location /certificate { proxy_pass http://unix:PLACE/inner.sock; }
    }
}
"#;

pub struct Nginx<'f> {
    folder: &'f Folder,
    _process: Shell,
    pub port: u16,
}

impl<'f> Nginx<'f> {
    /// `clients` have to show a certificate (`on`), or not (`off`). The user `weir` has the password `s3cret word`.
    pub fn start(folder: &'f Folder, authority: &Authority, certified: &Certified, clients: &str) -> Self {
        let port = free_port();
        folder.write("users", "weir:{PLAIN}s3cret word\n");
        let configuration = CONFIGURATION
            .replace("PLACE", &folder.place().display().to_string())
            .replace("PORT", &port.to_string())
            .replace("CERTIFICATE", &certified.certificate)
            .replace("KEY", &certified.key)
            .replace("CLIENTS", &authority.file)
            .replace("VERIFY", clients);
        Self { folder, _process: web::nginx(folder, &configuration, port), port }
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path(name)).unwrap_or_default()
    }

    /// What was answered, where, and to whom.
    pub fn answers(&self) -> Vec<String> {
        // A connection without a request is one, too.
        let answers = self.log("answers").lines().map(str::to_owned).collect::<Vec<_>>();
        answers.into_iter().filter(|line| line.contains(" /")).collect()
    }

    /// What was posted by whoever was let in.
    pub fn bodies(&self) -> String {
        // Each ends as it was posted, and then as a line of a log.
        self.log("bodies").lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
    }
}
