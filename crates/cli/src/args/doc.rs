//! The arguments of `doc`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

const DOC_EXAMPLES: &str = "\
Examples:
  ggml-agent doc serve report.md                     then open the link that it prints
  ggml-agent doc serve report.md --listen 127.0.0.1:0
  ggml-agent doc link                                one more link, for one more person
  ggml-agent doc ls
  ggml-agent doc show s2
  ggml-agent doc log --section s2 -o json
  ggml-agent doc locks
  ggml-agent doc unlock s2
  ggml-agent doc diff s2 3 4

All but `serve` ask a server that runs: the only one of this user, or that of --url.";

/// The arguments of `doc`.
#[derive(Debug, Args)]
#[command(after_help = DOC_EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct DocArgs {
    #[command(subcommand)]
    pub(crate) verb: DocVerb,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Which server is asked.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server, as `doc serve` prints it [default: the only one of this user that runs].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// On whose behalf, as others see it [default: $USER, or operator].
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) person: Option<String>,
}

/// What is done with a document.
#[derive(Debug, Subcommand)]
pub(crate) enum DocVerb {
    /// Serve a Markdown file to browsers, which edit it together with agents, until Ctrl-C.
    ///
    /// The page is opened by a link that is good once. The file is written whole or not at all, soon after
    /// each change.
    Serve(ServeArgs),
    /// Print a new link that is good once.
    Link,
    /// List the sections: id, version, who holds it, title.
    Ls,
    /// Print a section, or the whole document, as it is now.
    Show {
        /// Which section, such as s2 [default: all of them, in order].
        section: Option<String>,
        /// An earlier version of the section.
        #[arg(long, value_name = "N", requires = "section")]
        version: Option<u64>,
    },
    /// List what was changed, newest first.
    Log {
        /// Only in this section.
        #[arg(long, value_name = "SECTION")]
        section: Option<String>,
        /// How many, 1 to 500.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
        /// Only those before this number.
        #[arg(long, value_name = "SEQ")]
        before: Option<u64>,
    },
    /// List who holds or has reserved which section.
    Locks,
    /// Take the lock of a section from whoever holds it; what that one still sends is refused.
    Unlock {
        /// Which section, such as s2.
        section: String,
    },
    /// Show how two versions of a section differ: [-gone-] and {+new+}.
    Diff {
        /// Which section, such as s2.
        section: String,
        /// The older version; 0 is the one that the server began with.
        from: u64,
        /// The newer version [default: the newest].
        to: Option<u64>,
    },
}

/// The arguments of `doc serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The Markdown file.
    pub(crate) file: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7420")]
    pub(crate) listen: SocketAddr,
    /// Let --listen be an address that other machines reach. There is no encryption: only behind a proxy
    /// that has it, or in a network that you trust.
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// One more name by which browsers know this server, without a port.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// What the document is called in addresses [default: the name of the file].
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) name: Option<String>,
}

/// What can stand in an address as it is.
fn name(text: &str) -> Result<String, String> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) || text.starts_with('.') {
        return Err("write 1 to 64 letters, digits, '-', '_' and '.', not a '.' first".to_owned());
    }
    Ok(text.to_owned())
}
