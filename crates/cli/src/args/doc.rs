//! The arguments of `doc`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

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
  ggml-agent doc blame s2
  ggml-agent doc edit s2 --old \"in June\" --new \"in July\"
  ggml-agent doc revert 17 18
  ggml-agent doc revert --author writer-1 --section s2
  ggml-agent doc suggestions accept 3

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
    /// Show who wrote which words of a section, and by which change.
    Blame {
        /// Which section, such as s2.
        section: String,
    },
    /// Change the text of a section that nobody else holds.
    Edit(EditArgs),
    /// Take changes back; what others wrote since stays.
    Revert(RevertArgs),
    /// List what is proposed, or answer it.
    Suggestions {
        #[command(subcommand)]
        verb: Option<SuggestionVerb>,
    },
}

/// The arguments of `doc edit`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true).args(["old", "append", "file"]))]
pub(crate) struct EditArgs {
    /// Which section, such as s2.
    pub(crate) section: String,
    /// What is to be replaced, word for word; it must stand there once.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, requires = "new")]
    pub(crate) old: Option<String>,
    /// What is to stand there instead.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, requires = "old")]
    pub(crate) new: Option<String>,
    /// What is added at the end.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) append: Option<String>,
    /// A file with the whole new text, heading included.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The version that the file was made from [default: the newest].
    #[arg(long, value_name = "N", requires = "file")]
    pub(crate) base: Option<u64>,
}

/// The arguments of `doc revert`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["changes", "author", "to"]))]
pub(crate) struct RevertArgs {
    /// The numbers of the changes, as `doc log` has them.
    #[arg(value_name = "CHANGE")]
    pub(crate) changes: Vec<u64>,
    /// Everything that this author wrote, by the id that `doc log -o json` has; a person's is @NAME.
    #[arg(long, value_name = "ID")]
    pub(crate) author: Option<String>,
    /// Only what changed this section.
    #[arg(long, value_name = "SECTION", conflicts_with = "changes")]
    pub(crate) section: Option<String>,
    /// Everything since this version of the section.
    #[arg(long, value_name = "VERSION", requires = "section")]
    pub(crate) to: Option<u64>,
}

/// What is done with a suggestion.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum SuggestionVerb {
    /// List them, the oldest first.
    Ls,
    /// Make it part of the text.
    Accept {
        /// Its number.
        n: u64,
    },
    /// Say no to it.
    Reject {
        /// Its number.
        n: u64,
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
