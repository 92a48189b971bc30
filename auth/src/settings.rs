//! Where the keys are, and whose tokens are good.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;
use reqwest::Url;
use telemetry::settings::Problems;

const JWKS: &str = "--auth-jwks / AUTH_JWKS";
const ISSUER: &str = "--auth-issuer / AUTH_ISSUER";
const AUDIENCE: &str = "--auth-audience / AUTH_AUDIENCE";

/// Which tokens are asked for. None of these flags: everybody may do everything.
#[derive(Clone, Debug, Default, Args)]
pub struct AuthArgs {
    /// The public keys of the issuer of tokens (a JWK set): a file, or a URL with https. With it, every request needs a bearer
    /// token (JWT) whose scopes allow it.
    #[arg(long, env = "AUTH_JWKS", value_name = "FILE|URL")]
    auth_jwks: Option<String>,

    /// The issuer whose tokens are good: their claim `iss`.
    #[arg(long, env = "AUTH_ISSUER", value_name = "URL")]
    auth_issuer: Option<String>,

    /// What a token has to be meant for: one of its claims `aud`.
    #[arg(long, env = "AUTH_AUDIENCE", value_name = "NAME")]
    auth_audience: Option<String>,
}

/// Whose tokens are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSettings {
    /// Where the issuer's keys are.
    pub source: Source,
    /// The claim `iss`.
    pub issuer: String,
    /// One of the claims `aud`.
    pub audience: String,
}

/// Where a JWK set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// Behind a URL.
    Url(Url),
}

impl AuthArgs {
    /// Checks the flags: `Some(None)` is that no tokens are asked for.
    #[allow(clippy::option_option, reason = "the outer is whether the settings are good")]
    pub fn check(&self, problems: &mut Problems) -> Option<Option<AuthSettings>> {
        let given = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        let (jwks, issuer, audience) = (given(&self.auth_jwks), given(&self.auth_issuer), given(&self.auth_audience));
        if jwks.is_none() && issuer.is_none() && audience.is_none() {
            return Some(None);
        }
        let source = problems.required(JWKS, jwks).and_then(|text| source(&text, problems));
        let (issuer, audience) = (problems.required(ISSUER, issuer), problems.required(AUDIENCE, audience));
        Some(Some(AuthSettings { source: source?, issuer: issuer?, audience: audience? }))
    }
}

fn source(text: &str, problems: &mut Problems) -> Option<Source> {
    if !text.contains("://") {
        return Some(Source::File(text.into()));
    }
    let url: Url = problems.parse(JWKS, text)?;
    let host = url.host_str().unwrap_or_default();
    let is_local =
        host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local) {
        problems.add(JWKS, "expected https: whoever can change the keys on their way can forge tokens");
        return None;
    }
    Some(Source::Url(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(jwks: &str, issuer: &str, audience: &str) -> Result<Option<AuthSettings>, String> {
        let some = |text: &str| Some(text.to_owned());
        let args = AuthArgs { auth_jwks: some(jwks), auth_issuer: some(issuer), auth_audience: some(audience) };
        let mut problems = Problems::new();
        let checked = args.check(&mut problems);
        problems.finish(checked).map_err(|problems| problems.to_string())
    }

    #[test]
    fn all_of_them_or_none() {
        assert_eq!(check("", "", ""), Ok(None));
        let problems = check("keys.json", "", "").unwrap_err();
        assert!(problems.contains(ISSUER) && problems.contains(AUDIENCE), "{problems}");
        assert_eq!(check("keys.json", "i", "a").unwrap().unwrap().source, Source::File("keys.json".into()));
    }

    #[test]
    fn keys_come_by_a_way_on_which_nobody_changes_them() {
        for url in ["https://id.example/keys", "http://127.0.0.1:8/keys", "http://[::1]/keys", "http://localhost/k"] {
            assert!(check(url, "i", "a").is_ok(), "{url}");
        }
        for url in ["http://id.example/keys", "ftp://127.0.0.1/keys", "https://", "http://127.0.0.1.example/k"] {
            assert!(check(url, "i", "a").is_err(), "{url}");
        }
    }
}
