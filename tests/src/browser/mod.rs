//! Debian's Chromium, driven by its DevTools protocol: the pages are tested in the browser that people use.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use std::time::Duration;
//! use switchboard_tests::browser::Browser;
//!
//! let browser = Browser::start().await?;
//! let page = browser.open(1200, 800, "http://127.0.0.1:8080/").await?;
//! page.wait_for("document.querySelector('#status').dataset.state === 'connected'", Duration::from_secs(5)).await?;
//! page.click("#send").await?;
//! assert_eq!(page.complaints(), Vec::<String>::new());
//! # Ok(()) }
//! ```
//!
//! No driver in between: `devtools.rs` is the websocket, `page.rs` what a test does with a page.
//! A wait is a promise inside the page that looks again at every change, so no test sleeps.

mod devtools;
mod page;
#[cfg(test)]
mod selftest;

pub use page::Page;

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use devtools::Devtools;
use serde_json::json;

/// A cold start on a busy two-core machine takes 3 s; more than this is a browser that hangs.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Where Debian's package `chromium` puts it.
const CHROMIUM: &str = "/usr/bin/chromium";

const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox", // tests also run as root, where Chromium's sandbox refuses to start
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage", // containers have 64 MB there
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0", // Chromium chooses, and writes it to DevToolsActivePort
];

/// One Chromium of our own, with an empty profile; dropped, it is killed with all its processes and the profile removed.
pub struct Browser {
    devtools: Arc<Devtools>,
    process: Process,
}

impl Browser {
    /// Starts `$SWITCHBOARD_CHROMIUM`, or Debian's Chromium.
    pub async fn start() -> Result<Self> {
        let program = std::env::var_os("SWITCHBOARD_CHROMIUM").map_or_else(|| CHROMIUM.into(), PathBuf::from);
        let mut process = Process::start(&program)?;
        let address = process.devtools_address().await?;
        let devtools = Devtools::connect(&address).await.context("cannot talk to Chromium")?;
        Ok(Self { devtools, process })
    }

    /// Opens `url` in a window of this size (CSS pixels) with storage of its own, and waits until it is loaded. What it
    /// downloads is not kept.
    pub async fn open(&self, width: u32, height: u32, url: &str) -> Result<Page> {
        let context = self.devtools.call(None, "Target.createBrowserContext", json!({})).await?;
        let nothing = json!({"behavior": "deny", "browserContextId": context["browserContextId"]});
        self.devtools.call(None, "Browser.setDownloadBehavior", nothing).await?;
        let target = json!({
            "url": "about:blank", "width": width, "height": height,
            "browserContextId": context["browserContextId"],
        });
        let target = self.devtools.call(None, "Target.createTarget", target).await?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.devtools.call(None, "Target.attachToTarget", attach).await?;
        let session = session["sessionId"].as_str().context("Chromium gave no session")?;
        let page = Page::attach(self.devtools.clone(), session.to_owned()).await?;
        page.resize(width, height).await?;
        page.goto(url).await?;
        Ok(page)
    }

    /// The profile's directory; it goes with the browser.
    pub fn profile(&self) -> &Path {
        &self.process.profile
    }
}

/// Chromium's processes, in a group of their own so that one signal ends them all.
struct Process {
    child: Child,
    profile: PathBuf,
}

impl Process {
    fn start(program: &Path) -> Result<Self> {
        if !program.exists() {
            bail!(
                "no Chromium at {}: run `./dev test`, which installs it, or set SWITCHBOARD_CHROMIUM",
                program.display()
            );
        }
        let profile = std::env::temp_dir().join(format!("switchboard-browser-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&profile).with_context(|| format!("cannot create {}", profile.display()))?;
        let log = File::create(profile.join("stderr.log"))?;
        let child = Command::new(program)
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .env("TMPDIR", &profile) // killed, it would leave its temporary files lying about
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, profile })
    }

    /// `ws://127.0.0.1:PORT/devtools/browser/ID`, once Chromium has written port and path.
    async fn devtools_address(&mut self) -> Result<String> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let file = std::fs::read_to_string(self.profile.join("DevToolsActivePort")).unwrap_or_default();
            if let Some((port, path)) = file.split_once('\n').filter(|(_, path)| !path.is_empty()) {
                return Ok(format!("ws://127.0.0.1:{port}{}", path.trim_end()));
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("Chromium ended at once ({status}): {}", self.last_words());
            }
            if Instant::now() > deadline {
                bail!("Chromium did not start within {START_WITHIN:?}: {}", self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // the file is the state waited for
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.profile.join("stderr.log")).unwrap_or_default();
        log.lines().rev().take(10).collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
        // The children write to the profile until the kernel has ended them too.
        let deadline = Instant::now() + Duration::from_secs(2);
        while std::fs::remove_dir_all(&self.profile).is_err() && self.profile.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
