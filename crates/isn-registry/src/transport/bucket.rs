//! A registry in a bucket: `s3://`, `gs://` or `az://`, through `object_store`.
//!
//! Its settings come from the environment, under the names that the cloud's own tools use
//! (`AWS_ENDPOINT_URL`, …). Connections live on a thread of their own, so they work from any runtime.

use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::SpawnedReqwestConnector;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    Certificate, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig,
};
use reqwest::header::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::failure;
use super::pace::Paced;
use super::{Access, Body, BoxFuture, Chunks, Transport, Whole, access, http, trace};
use isn_format::error::{Error, NetworkKind, Result, chain};

/// The minimum timeout for writing: an upload may take long on a slow line.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// A bucket, or what is below a prefix in one.
#[derive(Clone)]
pub struct Bucket {
    url: String,
    store: Arc<dyn ObjectStore>,
    offline: bool,
    /// The variables to set, if none of them has credentials.
    lacks: Option<&'static str>,
    /// How long a body may stay below the minimum rate.
    window: Duration,
    _io: Option<Arc<Io>>,
}

/// The thread on which connections live, until this is dropped.
struct Io {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Io {
    fn start() -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = super::runtime()?;
        let handle = runtime.handle().clone();
        let run = move || drop(runtime.block_on(stopped));
        let started = thread::Builder::new().name("isn-bucket".into()).spawn(run);
        started.map_err(|e| Error::Internal(format!("thread: {e}")))?;
        Ok(Io { handle, _stop: stop })
    }
}

impl Bucket {
    /// Opens the bucket at `url` for reading.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `url` is not a bucket's, or the settings for it are not valid.
    pub fn new(url: &str, access: &Access) -> Result<Self> {
        Bucket::with_timeout(url, access, access.timeout)
    }

    /// Opens the bucket at `url` for writing, with a longer timeout.
    ///
    /// # Errors
    /// As [`Bucket::new`].
    pub(crate) fn to_write(url: &str, access: &Access) -> Result<Self> {
        Bucket::with_timeout(url, access, access.timeout.max(UPLOAD_TIMEOUT))
    }

    fn with_timeout(url: &str, access: &Access, timeout: Duration) -> Result<Self> {
        let url = url.trim_end_matches('/').to_string();
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (_, prefix) = rest.split_once('/').unwrap_or_default();
        let refuse = |why: &dyn std::fmt::Display| Error::invalid(format!("registry {url}"), why);
        let prefix = Path::parse(prefix).map_err(|e| refuse(&e))?;
        let lacks = lacking_credentials(scheme, access);
        let io = Io::start()?;
        let mut options = client(access, timeout)?;
        let retry = RetryConfig { max_retries: access.retries as usize, ..RetryConfig::default() };
        let settings = access.cloud.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        /// Builds one of the three stores, whose builders have no common trait.
        macro_rules! build {
            ($builder:expr, $key:ty) => {{
                let builder = $builder
                    .with_url(&url)
                    .with_retry(retry)
                    .with_client_options(options)
                    .with_http_connector(SpawnedReqwestConnector::new(io.handle.clone()));
                let builder = settings.fold(builder, |builder, (name, value)| match name.parse::<$key>() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                });
                Arc::new(builder.build().map_err(|e| match lacks {
                    Some(variables) => no_credentials(url.clone(), variables, &e),
                    None => refuse(&in_one_line(&e)),
                })?)
            }};
        }
        let whole: Arc<dyn ObjectStore> = match scheme {
            "s3" => {
                check_profile(access).map_err(|why| refuse(&why))?;
                let is_plain = |(name, value): &(String, String)| {
                    name.starts_with("AWS_ENDPOINT") && value.starts_with("http://")
                };
                // A user who configures such an endpoint means it, as with the cloud's own tools.
                options = options.with_allow_http(access.cloud.iter().any(is_plain));
                // Files are removed one by one, since not every store supports bulk deletes.
                let builder =
                    AmazonS3Builder::new().with_config(AmazonS3ConfigKey::DisableBulkDelete, "true");
                build!(builder, AmazonS3ConfigKey)
            }
            "gs" => build!(GoogleCloudStorageBuilder::new(), GoogleConfigKey),
            "az" => build!(MicrosoftAzureBuilder::new(), AzureConfigKey),
            _ => return Err(refuse(&"is not a bucket: buckets begin with s3://, gs:// or az://")),
        };
        let store =
            if prefix.is_root() { whole } else { Arc::new(PrefixStore::new(whole, prefix)) as Arc<_> };
        let (offline, window) = (access.offline, access.timeout);
        Ok(Bucket { url, store, offline, lacks, window, _io: Some(Arc::new(io)) })
    }

    /// A bucket over `store`, with the URL `url` in messages.
    pub fn over(url: &str, store: Arc<dyn ObjectStore>) -> Self {
        let window = access::DEFAULT_TIMEOUT;
        Bucket { url: url.into(), store, offline: false, lacks: None, window, _io: None }
    }

    /// The URL, as the user would name it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the store to send requests to.
    ///
    /// # Errors
    /// [`Error::Network`] if the network must not be used.
    pub fn store(&self) -> Result<&dyn ObjectStore> {
        if self.offline {
            return Err(Error::offline(&self.url));
        }
        Ok(self.store.as_ref())
    }

    /// Converts the error of a request for `path`.
    pub fn failed(&self, path: &str, error: &object_store::Error) -> Error {
        use object_store::Error as Failure;
        let said = in_one_line(error);
        // Listing a bucket that does not exist fails with a generic error: only the server's words have the
        // code.
        let is_gone = || ["NoSuchBucket", "ContainerNotFound"].iter().any(|code| said.contains(code));
        let (kind, why) = match error {
            error if matches!(error, Failure::NotFound { .. }) || is_gone() => {
                (NetworkKind::Status(404), "is not there: is the bucket's name right?".into())
            }
            error if let Some(variables) = self.lacks => {
                return no_credentials(self.locate(path), variables, error);
            }
            Failure::PermissionDenied { .. } => {
                (NetworkKind::Status(403), format!("may not be accessed with these credentials: {said}"))
            }
            Failure::Unauthenticated { .. } => {
                (NetworkKind::Status(401), format!("may not be accessed with these credentials: {said}"))
            }
            error => (failure::kind(error), said),
        };
        Error::network(kind, self.locate(path), why)
    }

    async fn get(&self, path: &str, range: Option<Range<u64>>) -> Result<Option<Body>> {
        let store = self.store()?;
        let at = location(path)?;
        let traced = trace::Request::new("GET", &self.locate(path));
        let part = range.as_ref().map(|range| match range.end {
            u64::MAX => GetRange::Offset(range.start),
            _ => GetRange::Bounded(range.clone()),
        });
        let found = match store.get_opts(&at, GetOptions::new().with_range(part)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => {
                // Servers answer in many ways to a range that begins at or after the end of the file.
                if let Some(Range { start, .. }) = range.filter(|range| range.start > 0)
                    && let Ok(about) = store.head(&at).await
                    && about.size <= start
                {
                    return Ok(Some(Whole::body(start, Bytes::new())));
                }
                return Err(self.failed(path, &e));
            }
        };
        let offset = found.range.start;
        let chunks =
            BucketChunks { stream: found.into_stream(), bucket: self.clone(), path: path.into(), traced };
        let chunks = Paced::new(chunks, self.locate(path), self.window);
        Ok(Some(Body { offset, ignores_range: false, chunks: Box::new(chunks) }))
    }
}

struct BucketChunks {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    bucket: Bucket,
    path: String,
    traced: trace::Request,
}

impl Chunks for BucketChunks {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(async move {
            let chunk = self.stream.next().await.transpose();
            let chunk = chunk.map_err(|e| self.bucket.failed(&self.path, &e))?;
            self.traced.moved(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
            Ok(chunk)
        })
    }
}

impl Transport for Bucket {
    fn locate(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        Box::pin(self.get(path, range))
    }
}

/// Converts a registry's path for `object_store`.
///
/// # Errors
/// [`Error::Invalid`] if it has characters that no bucket's path has.
pub fn location(path: &str) -> Result<Path> {
    Path::parse(path).map_err(|e| Error::invalid(path, e))
}

fn client(access: &Access, timeout: Duration) -> Result<ClientOptions> {
    http::provide_crypto();
    let mut options = ClientOptions::new()
        .with_user_agent(HeaderValue::from_static(concat!("isn/", env!("CARGO_PKG_VERSION"))))
        .with_connect_timeout(access.timeout)
        .with_timeout_disabled()
        .with_read_timeout(timeout);
    if let Some(path) = &access.ca_bundle {
        let certificates = Certificate::from_pem_bundle(&http::read_bundle(path)?)
            .map_err(|e| http::bad_bundle(path, chain(&e)))?;
        if certificates.is_empty() {
            return Err(http::bad_bundle(path, "has no certificate in PEM"));
        }
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
        options = options.with_no_system_certificates(true);
    }
    Ok(options)
}

/// Returns the variables that hold the credentials for a scheme, if none of them is set. Some machines have
/// credentials from elsewhere, so this alone is no error.
fn lacking_credentials(scheme: &str, access: &Access) -> Option<&'static str> {
    let (known, variables): (&[&str], _) = match scheme {
        "s3" => (
            &["AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE", "AWS_WEB_IDENTITY_", "AWS_CONTAINER_"],
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket",
        ),
        "gs" => (&["GOOGLE_"], "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT_KEY"),
        _ => (
            &["AZURE_"],
            "AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
        ),
    };
    let is_set = |(name, _): &(String, String)| known.iter().any(|start| name.starts_with(start));
    (!access.cloud.iter().any(is_set)).then_some(variables)
}

/// The error that a request failed for which no credentials are set. Only the last cause is said: the others
/// are about how credentials were looked for.
fn no_credentials(url: String, variables: &str, error: &object_store::Error) -> Error {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    let last = causes.last().map(ToString::to_string).unwrap_or_default();
    let why = format!("no credentials are set in the environment ({variables}): {last}");
    Error::network(NetworkKind::Status(401), url, why)
}

/// Refuses AWS profiles, which are not supported, rather than search for other credentials.
fn check_profile(access: &Access) -> Result<(), &'static str> {
    let has = |name: &str| access.cloud.iter().any(|(known, value)| known == name && !value.is_empty());
    if has("AWS_PROFILE") && !has("AWS_ACCESS_KEY_ID") {
        return Err("needs credentials in the environment, profiles are not read: \
                    eval \"$(aws configure export-credentials --format env)\"");
    }
    Ok(())
}

/// The messages of an error and its causes, in one line.
fn in_one_line(error: &object_store::Error) -> String {
    chain(error).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::transport::{read, read_from, runtime};

    #[test]
    fn a_bucket_is_read_whole_in_part_and_behind_its_end() {
        let store = InMemory::new();
        runtime().unwrap().block_on(async {
            store.put(&Path::from("a/b"), "0123456789".into()).await.unwrap();
            let bucket = Bucket::over("memory://x", Arc::new(store));
            assert_eq!(read(&bucket, "a/b", 99).await.unwrap().unwrap(), b"0123456789");
            assert_eq!(read_from(&bucket, "a/b", 7, 99).await.unwrap().unwrap(), b"789");
            assert_eq!(read_from(&bucket, "a/b", 10, 99).await.unwrap().unwrap(), b"");
            assert!(read(&bucket, "a/b", 9).await.unwrap_err().to_string().contains("longer than 9"));
            assert!(read(&bucket, "a/c", 9).await.unwrap().is_none());
        });
    }

    #[test]
    fn what_cannot_be_a_bucket_or_has_no_credentials_is_said_at_once() {
        let profile = Access { cloud: vec![("AWS_PROFILE".into(), "me".into())], ..Access::default() };
        let refused = |url: &str, access: &Access| Bucket::new(url, access).err().unwrap().to_string();
        assert!(refused("s3://b", &profile).contains("profiles are not read"));
        assert!(refused("ftp://b", &Access::default()).contains("s3://, gs:// or az://"));
        let none = Access::default();
        assert!(refused("az://container", &none).contains("(AZURE_STORAGE_ACCOUNT_NAME, and"));
        let failed = |access: &Access| {
            let generic = object_store::Error::Generic { store: "S3", source: "no answer".into() };
            Bucket::new("s3://b", access).unwrap().failed("x", &generic).to_string()
        };
        assert_eq!(
            failed(&none),
            "s3://b/x: no credentials are set in the environment (AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket): no answer"
        );
        let set = Access { cloud: vec![("AWS_SKIP_SIGNATURE".into(), "true".into())], ..Access::default() };
        assert!(!failed(&set).contains("no credentials"));
        let offline = Access { offline: true, ..Access::default() };
        let bucket = Bucket::new("s3://b/c", &offline).unwrap();
        let asked = runtime().unwrap().block_on(read(&bucket, "x", 9));
        assert!(asked.unwrap_err().to_string().contains("offline"));
    }
}
