//! What a test does with a page, or with a frame in it: look, wait, click, type, take a picture.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::devtools::Devtools;

/// A page of our own servers on loopback is there in milliseconds; a browser under load may take seconds.
const LOAD_WITHIN: Duration = Duration::from_secs(15);

/// One page, or one frame of a page.
#[derive(Clone)]
pub struct Page {
    devtools: Arc<Devtools>,
    session: String,
    /// A frame of the page's own site lives in the page's process: scripts for it name it.
    frame: Option<String>,
}

impl Page {
    pub(super) async fn attach(devtools: Arc<Devtools>, session: String) -> Result<Self> {
        let page = Self { devtools, session, frame: None };
        page.enable().await?;
        Ok(page)
    }

    async fn enable(&self) -> Result<()> {
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), json!({})).await?;
        }
        let attach = json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true});
        self.call("Target.setAutoAttach", attach).await?;
        Ok(())
    }

    /// Goes to `url` and waits until it is loaded.
    pub async fn goto(&self, url: &str) -> Result<()> {
        ensure!(self.follow(url).await?, "{url}: it is a download");
        Ok(())
    }

    /// Goes to `url` as [`goto`](Self::goto) does; false when it became a download, and the page stayed where it was.
    pub async fn follow(&self, url: &str) -> Result<bool> {
        let answer = self.call("Page.navigate", json!({"url": url})).await?;
        match answer["errorText"].as_str() {
            Some("net::ERR_ABORTED") => return Ok(false),
            Some(error) => bail!("{url}: {error}"),
            None => {}
        }
        let deadline = Instant::now() + LOAD_WITHIN;
        while Instant::now() < deadline {
            match self.look("document.readyState").await {
                Ok(state) if state == "complete" => return Ok(true),
                Ok(_) => {}
                Err(error) if moved_on(&error) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // the document is the state waited for
        }
        bail!("{url}: not loaded within {LOAD_WITHIN:?}");
    }

    /// Makes the window this large, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size).await?;
        Ok(())
    }

    /// The value of a JavaScript expression, as JSON; a promise is awaited, an exception is an error.
    pub async fn eval(&self, expression: &str) -> Result<Value> {
        self.eval_within(expression, Duration::from_secs(20)).await
    }

    /// The value of an expression as it is now, also in a page that is denied scripts: there no promise is ever kept.
    pub async fn look(&self, expression: &str) -> Result<Value> {
        self.evaluate(expression, false, Duration::from_secs(20)).await
    }

    async fn eval_within(&self, expression: &str, within: Duration) -> Result<Value> {
        self.evaluate(expression, true, within).await
    }

    async fn evaluate(&self, expression: &str, promise: bool, within: Duration) -> Result<Value> {
        let mut params =
            json!({"expression": expression, "awaitPromise": promise, "returnByValue": true, "userGesture": true});
        if let Some(frame) = &self.frame {
            params["contextId"] = self.world(frame).await?;
        }
        let mut answer = self.devtools.call_within(Some(&self.session), "Runtime.evaluate", params, within).await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            let what = thrown["exception"].get("description").unwrap_or(&thrown["exception"]["value"]);
            bail!("{expression}: {}", what.as_str().unwrap_or("threw"));
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until the expression (or the promise it gives) is truthy, and returns its value. It is looked at in the page,
    /// at every change of the document and every 50 ms. Past the deadline the error shows what the page said.
    pub async fn wait_for(&self, expression: &str, within: Duration) -> Result<Value> {
        let deadline = Instant::now() + within;
        let mut last = None;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let script = WAIT.replace("EXPRESSION", expression).replace("LEFT_MS", &left.as_millis().to_string());
            match self.eval_within(&script, left + Duration::from_secs(5)).await {
                Ok(found) if found["ok"] == true => return Ok(found["value"].clone()),
                Ok(found) => last = Some(found["why"].to_string()),
                // The page went elsewhere under the wait, or its frame is not there yet: look at the new one.
                Err(error) if moved_on(&error) => tokio::task::yield_now().await,
                Err(error) => return Err(error),
            }
        }
        let shown = self.eval("location.href + '\\n' + document.body.innerText").await.unwrap_or_default();
        bail!(
            "not within {within:?}: {expression} ({})\nThe page shows:\n{}",
            last.unwrap_or_default(),
            shown.as_str().unwrap_or_default().chars().take(2000).collect::<String>()
        );
    }

    /// Clicks with the mouse in the middle of the first element the selector finds; an error when another one covers it.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let find = format!("(s => {CLICKABLE})({})", json!(selector));
        let at = self.wait_for(&find, Duration::from_secs(10)).await.context("nothing to click")?;
        let (mut x, mut y) = (number(&at["x"])?, number(&at["y"])?);
        if let Some(frame) = &self.frame {
            let owner = self.call("DOM.getFrameOwner", json!({"frameId": frame})).await?;
            let model = self.call("DOM.getBoxModel", json!({"backendNodeId": owner["backendNodeId"]})).await?;
            x += number(&model["model"]["content"][0])?;
            y += number(&model["model"]["content"][1])?;
        }
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({"type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    /// Clicks into the field and types: the text arrives as from an input method, in one piece.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        self.click(selector).await?;
        self.call("Input.insertText", json!({"text": text})).await?;
        Ok(())
    }

    /// Presses Enter in whatever has the focus.
    pub async fn press_enter(&self) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13});
            if kind == "keyDown" {
                event["text"] = "\r".into();
            }
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// The frame whose address contains `part`, whether Chromium runs it in the page's process (same site, that is the
    /// same host on any port) or in one of its own. Waits for it.
    pub async fn frame(&self, part: &str) -> Result<Page> {
        let deadline = Instant::now() + LOAD_WITHIN;
        while Instant::now() < deadline {
            for session in self.devtools.attached(&self.session) {
                let frame = Self { session, frame: None, ..self.clone() };
                if frame.eval("location.href").await.is_ok_and(|url| url.as_str().is_some_and(|url| url.contains(part)))
                {
                    frame.enable().await?;
                    return Ok(frame);
                }
            }
            let tree = self.call("Page.getFrameTree", json!({})).await?;
            if let Some(id) = find_frame(&tree["frameTree"], part) {
                return Ok(Self { frame: Some(id), ..self.clone() });
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // the frame tree is the state waited for
        }
        bail!("no frame whose address contains {part:?} within {LOAD_WITHIN:?}");
    }

    /// Writes what the window shows to a PNG file.
    pub async fn screenshot(&self, file: &Path) -> Result<()> {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"})).await?;
        let picture = from_base64(answer["data"].as_str().context("no picture")?)?;
        std::fs::write(file, picture).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Console errors, uncaught exceptions, resources not found and violations of the content security policy since
    /// the page was opened. Those of a frame of the same site count as the page's.
    pub fn complaints(&self) -> Vec<String> {
        self.devtools.complaints(&self.session)
    }

    /// A script world of our own in the frame: it shares the document, not the page's variables.
    async fn world(&self, frame: &str) -> Result<Value> {
        let world = self.call("Page.createIsolatedWorld", json!({"frameId": frame, "worldName": "test"})).await?;
        Ok(world["executionContextId"].clone())
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value> {
        self.devtools.call(Some(&self.session), method, params).await
    }
}

const WAIT: &str = r"new Promise((done) => {
  let why = 'was false', looking = false;
  const finish = (result) => { observer.disconnect(); clearInterval(again); clearTimeout(end); done(result); };
  const look = async () => {
    if (looking) return;
    looking = true;
    try { const value = await (EXPRESSION); if (value) finish({ ok: true, value }); why = 'was ' + value; }
    catch (error) { why = String(error); }
    looking = false;
  };
  const observer = new MutationObserver(look);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  const again = setInterval(look, 50);
  const end = setTimeout(() => finish({ ok: false, why }), LEFT_MS);
  look();
})";

/// The middle of the element, once it is in view, enabled, and on top of whatever else is there.
const CLICKABLE: &str = r"{
  const node = document.querySelector(s);
  if (!node) throw new Error('no ' + s);
  if (node.disabled) throw new Error(s + ' is disabled');
  node.scrollIntoView({ block: 'nearest', behavior: 'instant' });
  const box = node.getBoundingClientRect();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const top = document.elementFromPoint(x, y);
  if (top !== node && !node.contains(top)) throw new Error(s + ' is covered or hidden');
  return { x, y };
}";

fn moved_on(error: &anyhow::Error) -> bool {
    let words = error.to_string();
    ["context was destroyed", "Cannot find context", "navigated or closed", "No frame for given id"]
        .iter()
        .any(|known| words.contains(known))
}

fn find_frame(tree: &Value, part: &str) -> Option<String> {
    tree["childFrames"].as_array()?.iter().find_map(|child| {
        let frame = &child["frame"];
        let here = frame["url"].as_str().is_some_and(|url| url.contains(part));
        if here { frame["id"].as_str().map(str::to_owned) } else { find_frame(child, part) }
    })
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("{value} is no number"))
}

/// The standard alphabet with padding (RFC 4648, section 4): the one thing Chromium sends so.
fn from_base64(text: &str) -> Result<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let six = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            .iter()
            .position(|&known| known == letter);
        ensure!(six.is_some(), "not base64");
        bits = bits << 6 | u32::try_from(six.unwrap_or_default())?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff)?);
        }
    }
    Ok(bytes)
}
