//! The machine-readable descriptions of the interfaces, made of the code that serves them.

/// `describe`
#[derive(clap::Args)]
pub struct DescribeArgs {
    /// Which one.
    #[arg(value_enum)]
    pub interface: Interface,
}

/// What `switchboard describe` can print.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Interface {
    /// REST: OpenAPI 3.1.
    Openapi,
    /// The agents' websocket: AsyncAPI 3.0.
    Asyncapi,
}

/// What `switchboard describe` prints.
pub fn text(interface: Interface) -> String {
    match interface {
        Interface::Openapi => openapi(),
        Interface::Asyncapi => asyncapi(),
    }
}

/// REST: the loader's and the file server's routes. Webhooks are between platforms and us, and no part of it.
pub fn openapi() -> String {
    let mut document = switchboard_loader::openapi();
    document.merge(switchboard_fileserver::openapi());
    pretty(&document)
}

/// The agents' websocket.
pub fn asyncapi() -> String {
    pretty(&switchboard_chatserver::asyncapi())
}

fn pretty(document: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("plain fields are JSON");
    text.push('\n');
    text
}

#[cfg(test)]
#[path = "descriptions_tests.rs"]
mod tests;
