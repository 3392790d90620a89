//! The output formats as a table: what each is called, and what the rooms around [`super`] must know of it.

/// What is printed. The names follow `aws configure export-credentials`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// POSIX shell exports, for eval
    Shell,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// One JSON object with everything that is known
    Json,
    /// KEY=VALUE lines without quotes
    Dotenv,
    /// The JSON of the AWS SDKs' credential_process
    Process,
    /// Variables for the later steps of a GitHub Actions job
    Github,
    /// A private credentials file, and the shell exports that point to it
    File,
    /// A private file with the job's ID token, and the shell exports by which the AWS SDKs find it
    WebIdentity,
}

/// What distinguishes one format from another: the row of a new one.
#[derive(Clone, Copy, Debug)]
pub struct FormatFacts {
    /// The name that `--format` takes.
    pub name: &'static str,
    /// Another name for it.
    pub alias: Option<&'static str>,
    /// Its line in the help.
    pub help: &'static str,
    /// Whether a shell evaluates the text, so that a failed run must print what fails.
    pub evaluated: bool,
    /// Whether it sets variables, the companions of the credential among them.
    pub sets_variables: bool,
    /// Whether a value may have several lines.
    pub takes_lines: bool,
    /// How people use it, with `{}` in the place of the call.
    pub usage: &'static str,
    /// Where the text would be told, were the caller's commands traced.
    pub traced: Trace,
}

/// What a trace of the caller's commands shows of a format, and what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Nothing: no shell runs the text.
    Nothing,
    /// Everything, unless the shell sources a private file in its place.
    UnlessSourced,
    /// Everything, whatever we print.
    Everything,
}

impl Format {
    /// Every format, in the order of the help.
    pub const ALL: [Self; 9] = [
        Self::Shell,
        Self::Fish,
        Self::Powershell,
        Self::Json,
        Self::Dotenv,
        Self::Process,
        Self::Github,
        Self::File,
        Self::WebIdentity,
    ];

    /// The table.
    #[must_use]
    pub const fn facts(self) -> FormatFacts {
        let data = FormatFacts {
            name: "",
            alias: None,
            help: "",
            evaluated: false,
            sets_variables: true,
            takes_lines: false,
            usage: "eval $({})",
            traced: Trace::Nothing,
        };
        match self {
            Self::Shell => FormatFacts {
                name: "shell",
                alias: Some("env"),
                help: "POSIX shell exports, for eval",
                evaluated: true,
                traced: Trace::UnlessSourced,
                ..data
            },
            Self::Fish => {
                let usage = "eval ({})";
                FormatFacts { name: "fish", help: "fish", evaluated: true, usage, traced: Trace::UnlessSourced, ..data }
            }
            Self::Powershell => FormatFacts {
                name: "powershell",
                help: "PowerShell",
                evaluated: true,
                usage: "{} | Out-String | Invoke-Expression",
                traced: Trace::Everything,
                ..data
            },
            Self::Json => FormatFacts {
                name: "json",
                help: "One JSON object with everything that is known",
                sets_variables: false,
                takes_lines: true,
                usage: "credential=$({})",
                ..data
            },
            Self::Dotenv => FormatFacts {
                name: "dotenv",
                alias: Some("env-no-export"),
                help: "KEY=VALUE lines without quotes",
                usage: "{} > .env",
                ..data
            },
            Self::Process => FormatFacts {
                name: "process",
                help: "The JSON of the AWS SDKs' credential_process",
                sets_variables: false,
                usage: "credential_process = {}",
                ..data
            },
            Self::Github => {
                let (name, usage) = ("github", "{} >> \"$GITHUB_ENV\"");
                FormatFacts { name, help: "Variables for the later steps of a GitHub Actions job", usage, ..data }
            }
            Self::File => FormatFacts {
                name: "file",
                help: "A private credentials file, and the shell exports that point to it",
                evaluated: true,
                ..data
            },
            Self::WebIdentity => FormatFacts {
                name: "web-identity",
                help: "A private file with the job's ID token, for the AWS SDKs; with --via web-identity",
                evaluated: true,
                ..data
            },
        }
    }
}
