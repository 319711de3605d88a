//! Instructions that change nothing but variables and configuration; and WORKDIR.

use std::sync::Arc;

use image::Healthcheck;
use serde_json::{Map, Value};
use solver::op::{EnvOrigin, MakeDirOp, Op};

use super::checks::{rule, values::is_secret_name};
use super::error::PlanError;
use super::gotext::{duration, list, quoted, quoted_list};
use super::work::{NOT_VARIABLES, Work};
use super::{paths, ports, signals};
use crate::expansion::Variables;
use crate::instruction::{self, ArgDeclaration, Command, CommandLine, Instruction, Pairs, Word};

impl Work<'_, '_> {
    /// Lowers an instruction that is neither RUN nor COPY nor ADD.
    pub(super) fn metadata(&mut self, instruction: &Instruction) -> Result<(), PlanError> {
        match &instruction.command {
            Command::Arg(args) => self.arg(args),
            Command::Env(pairs) => self.env(pairs),
            Command::Label(pairs) => self.label(pairs),
            Command::Cmd(line) => self.cmd(line, instruction),
            Command::Entrypoint(line) => self.entry(line, instruction),
            Command::Shell(shell) => {
                self.state.config().shell = Some(shell.clone());
                self.commit(format!("SHELL {}", list(shell)), true)
            }
            Command::User(word) => {
                let user = self.expand(&word.text)?;
                let text = format!("USER {user}");
                self.state.config().user = user;
                self.commit(text, true)
            }
            Command::Workdir(word) => self.workdir(word, instruction),
            Command::Expose(words) => self.expose(words),
            Command::Volume(words) => self.volume(words),
            Command::StopSignal(word) => {
                let signal = self.expand(&word.text)?;
                signals::check(&signal)?;
                let text = format!("STOPSIGNAL {signal}");
                self.state.config().stop_signal = signal;
                self.commit(text, true)
            }
            Command::Maintainer(word) => {
                Arc::make_mut(&mut self.state.image)
                    .author
                    .clone_from(&word.text);
                self.commit(format!("MAINTAINER {}", word.text), true)
            }
            Command::Healthcheck(check) => self.health(check, instruction),
            Command::OnBuild(trigger) => {
                self.state.config().on_build.push(trigger.text.clone());
                Ok(())
            }
            Command::Run(_) | Command::Copy(_) | Command::Add(_) => Ok(()),
        }
    }

    fn arg(&mut self, args: &[ArgDeclaration]) -> Result<(), PlanError> {
        let scope = self.lowering.scope;
        let mut text = String::from("ARG");
        for arg in args {
            let name = arg.name.text.as_str();
            self.check_secret("ARG", name);
            let value = match (scope.build_args.get(name), &arg.default) {
                (Some(value), _) => Some(value.to_owned()),
                (None, Some(default)) => Some(self.expand(&default.text)?),
                (None, None) => scope.global.values.get(name).map(str::to_owned),
            };
            if let Some(survey) = &scope.survey {
                let given = scope.build_args.get(name).is_some() || arg.default.is_some();
                let inherited = !given && value.is_some();
                survey.declare(name, value.as_deref(), inherited, &self.comments, self.span);
            }
            text.push(' ');
            text.push_str(name);
            if let Some(value) = &value {
                if !NOT_VARIABLES.contains(&name) {
                    self.state.variables.set(name, value, EnvOrigin::Arg);
                }
                text.push('=');
                text.push_str(value);
            }
            Arc::make_mut(&mut self.state.args).push((name.to_owned(), value));
        }
        self.commit(text, true)
    }

    /// Names and values, all expanded before any of them is set.
    fn pairs(&mut self, pairs: &Pairs) -> Result<Vec<(String, String)>, PlanError> {
        let pairs = pairs.pairs.iter();
        pairs
            .map(|(name, value)| Ok((self.expand(&name.text)?, self.expand(&value.text)?)))
            .collect()
    }

    fn env(&mut self, pairs: &Pairs) -> Result<(), PlanError> {
        let mut text = String::from("ENV");
        for (name, value) in self.pairs(pairs)? {
            self.check_secret("ENV", &name);
            text.push_str(&format!(" {name}={value}"));
            self.state.variables.set(&name, &value, EnvOrigin::Env);
            self.state.env.set(&name, &value);
        }
        self.commit(text, true)
    }

    fn label(&mut self, pairs: &Pairs) -> Result<(), PlanError> {
        let mut text = String::from("LABEL");
        for (name, value) in self.pairs(pairs)? {
            text.push_str(&format!(" {name}={value}"));
            self.state.config().labels.insert(name, value);
        }
        self.commit(text, true)
    }

    fn check_secret(&self, keyword: &str, name: &str) {
        if is_secret_name(name) {
            self.report(
                rule::SECRETS,
                format!(
                    "Do not use ARG or ENV instructions for sensitive data ({keyword} {})",
                    quoted(name)
                ),
            );
        }
    }

    /// The words of CMD or ENTRYPOINT; the shell form is checked.
    fn line(&self, line: &CommandLine, instruction: &Instruction) -> Vec<String> {
        match line {
            CommandLine::Exec(args) => args.clone(),
            CommandLine::Shell(text) => {
                if self
                    .state
                    .image
                    .config
                    .shell
                    .as_ref()
                    .is_none_or(Vec::is_empty)
                {
                    self.report(
                        rule::JSON_ARGS,
                        format!(
                            "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
                            instruction.keyword
                        ),
                    );
                }
                self.with_shell(text)
            }
        }
    }

    fn check_once(&self, earlier: Option<solver::Span>, instruction: &Instruction) {
        if let Some(earlier) = earlier {
            let message = format!(
                "Multiple {} instructions should not be used in the same stage because only the last one will be used",
                instruction.keyword
            );
            self.report_at(rule::MULTIPLE, earlier, message);
        }
    }

    fn cmd(&mut self, line: &CommandLine, instruction: &Instruction) -> Result<(), PlanError> {
        let earlier = self.command.replace(self.span);
        self.check_once(earlier, instruction);
        let args = self.line(line, instruction);
        let text = format!("CMD {}", quoted_list(&args));
        let config = self.state.config();
        config.cmd = Some(args).filter(|args| !args.is_empty());
        config.args_escaped = true;
        self.commit(text, true)
    }

    fn entry(&mut self, line: &CommandLine, instruction: &Instruction) -> Result<(), PlanError> {
        let earlier = self.entrypoint.replace(self.span);
        self.check_once(earlier, instruction);
        let args = self.line(line, instruction);
        let text = format!("ENTRYPOINT {}", quoted_list(&args));
        let keeps_command = self.command.is_some();
        let config = self.state.config();
        config.entrypoint = Some(args).filter(|args| !args.is_empty());
        if !keeps_command {
            config.cmd = None;
        }
        self.commit(text, true)
    }

    fn health(
        &mut self,
        check: &instruction::Healthcheck,
        instruction: &Instruction,
    ) -> Result<(), PlanError> {
        let earlier = self.healthcheck.replace(self.span);
        self.check_once(earlier, instruction);
        let test = match &check.command {
            None => vec!["NONE".to_owned()],
            Some(CommandLine::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.clone()],
            Some(CommandLine::Exec(args)) => {
                let program = std::iter::once("CMD".to_owned());
                program.chain(args.iter().cloned()).collect()
            }
        };
        let health = Healthcheck {
            test,
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        };
        let text = format!(
            "HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
            list(&health.test),
            duration(health.interval),
            duration(health.timeout),
            duration(health.start_period),
            duration(health.start_interval),
            health.retries
        );
        self.state.config().healthcheck = Some(health);
        self.commit(text, true)
    }

    fn workdir(&mut self, word: &Word, instruction: &Instruction) -> Result<(), PlanError> {
        let path = self.expand(&word.text)?;
        if !self.state.workdir_set && !path.starts_with('/') {
            self.report(
                rule::WORKDIR_RELATIVE,
                format!(
                    "Relative workdir {} can have unexpected results if the base image changes",
                    quoted(&path)
                ),
            );
        }
        self.state.workdir_set = true;
        // An absolute path stays as it was written; only joining cleans it.
        let directory = match path.as_str() {
            "" => match self.state.image.config.working_dir.as_str() {
                "" => "/".to_owned(),
                current => current.to_owned(),
            },
            absolute if absolute.starts_with('/') => path,
            relative => paths::join(&self.state.image.config.working_dir, relative),
        };
        let text = format!("WORKDIR {directory}");
        let makes_layer = directory != "/";
        self.state.config().working_dir = directory;
        if makes_layer {
            let scope = self.lowering.scope;
            let op = Op::MakeDir(MakeDirOp {
                path: self.state.cwd(),
                mode: 0o755,
                owner: self.state.user().to_owned(),
                epoch: scope.epoch.as_ref().map(|epoch| epoch.seconds),
            });
            let shown = self.shown(instruction);
            let name = self.numbered(&shown);
            self.state.root = self.add(op, vec![self.state.root], name, false);
        }
        self.commit(text, !makes_layer)
    }

    fn expose(&mut self, words: &[Word]) -> Result<(), PlanError> {
        // The reference sorts what was written, not what it expands to.
        let mut written: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        written.sort_unstable();
        let mut ports = Vec::new();
        for word in written {
            let split = {
                let lexer = self.lowering.scope.lexer();
                lexer.words(word, &self.state.variables)?
            };
            for text in split.words {
                let exposed = ports::parse(&text)?;
                if exposed.odd_case {
                    self.report(
                        rule::EXPOSE_CASING,
                        format!(
                            "Defined protocol '{text}' in EXPOSE instruction should be lowercase"
                        ),
                    );
                }
                if exposed.mapped {
                    self.report(
                        rule::EXPOSE_FORMAT,
                        format!("EXPOSE instruction should not define an IP address or host-port mapping, found '{text}'"),
                    );
                }
                ports.extend(exposed.ports);
            }
        }
        let text = format!("EXPOSE {}", list(&ports));
        let config = self.state.config();
        for port in ports {
            config.exposed_ports.insert(port, empty_object());
        }
        self.commit(text, true)
    }

    fn volume(&mut self, words: &[Word]) -> Result<(), PlanError> {
        let mut volumes = Vec::with_capacity(words.len());
        for word in words {
            volumes.push(self.expand(&word.text)?);
        }
        if volumes.iter().any(String::is_empty) {
            return Err(PlanError::new(
                "VOLUME specified can not be an empty string",
            ));
        }
        let text = format!("VOLUME {}", list(&volumes));
        let config = self.state.config();
        for volume in volumes {
            config.volumes.insert(volume, empty_object());
        }
        self.commit(text, true)
    }
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}
