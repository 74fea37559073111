//! The bare loop: a floor file's statements from this process, over one connection.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::try_join_all;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, private::BytesMut};
use tokio_postgres::{Client, NoTls, Row};

use super::script::{self, Command};

/// How the services' connections plan, and so do the floors'.
pub const OPTIONS: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off -c timezone=UTC";

/// The same for a connection that is open.
pub const PLANNED: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off";

/// A prepared floor file.
pub struct Bare {
    client: Client,
    steps: Vec<Step>,
    /// Its variables, as text.
    pub variables: HashMap<String, String>,
    /// Makes the inputs in this process, as the path's own program has them, instead of by the file's statement.
    pub maker: Option<Maker>,
}

/// Sets the variables that a file's inputs would set.
pub type Maker = Box<dyn FnMut(&mut HashMap<String, String>) + Send>;

enum Step {
    Set(String, Vec<String>),
    One(Prepared),
    /// Sent together, answered together.
    Together(Vec<Prepared>),
}

struct Prepared {
    statement: tokio_postgres::Statement,
    names: Vec<String>,
    gset: Option<String>,
    inputs: bool,
}

/// A connection as the services make theirs.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let mut config: tokio_postgres::Config = url.parse()?;
    config.options(OPTIONS);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Bare {
    /// Prepares the file over a connection of its own, with a first set of variables.
    pub async fn open(url: &str, file: &str, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let client = connect(url).await?;
        let (mut steps, mut together): (Vec<Step>, Option<Vec<Prepared>>) = (Vec::new(), None);
        for command in script::parse(file)? {
            match command {
                Command::Set { name, words } => steps.push(Step::Set(name, words)),
                Command::StartPipeline => together = Some(Vec::new()),
                Command::EndPipeline => steps.push(Step::Together(together.take().context("no pipeline")?)),
                Command::Statement(it) => {
                    let statement = client.prepare(&it.sql).await.with_context(|| it.sql.clone())?;
                    let prepared = Prepared { statement, names: it.names, gset: it.gset, inputs: it.inputs };
                    match &mut together {
                        Some(together) => together.push(prepared),
                        None => steps.push(Step::One(prepared)),
                    }
                }
            }
        }
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(Self { client, steps, variables, maker: None })
    }

    /// Once through the file; returns the time of all but the inputs.
    pub async fn once(&mut self) -> anyhow::Result<Duration> {
        let mut spent = Duration::ZERO;
        for step in &self.steps {
            if let (Step::One(Prepared { inputs: true, .. }), Some(maker)) = (step, &mut self.maker) {
                maker(&mut self.variables);
                continue;
            }
            let begun = Instant::now();
            match step {
                Step::Set(name, words) => {
                    let value = evaluate(words, &self.variables)?;
                    self.variables.insert(name.clone(), value);
                }
                Step::One(prepared) => {
                    let rows = run(&self.client, prepared, &self.variables).await?;
                    if let Some(prefix) = &prepared.gset {
                        let row = rows.first().context("\\gset of no row")?;
                        for (place, column) in row.columns().iter().enumerate() {
                            self.variables.insert(format!("{prefix}{}", column.name()), shown(row, place)?);
                        }
                    }
                    if prepared.inputs {
                        continue;
                    }
                }
                Step::Together(all) => {
                    try_join_all(all.iter().map(|one| run(&self.client, one, &self.variables))).await?;
                }
            }
            spent += begun.elapsed();
        }
        Ok(spent)
    }

    /// `count` times through the file; the time of each.
    pub async fn times(&mut self, count: usize) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            times.push(self.once().await?);
        }
        Ok(times)
    }

    /// A variable as a number; 0 when there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.variables.get(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }
}

async fn run(client: &Client, prepared: &Prepared, variables: &HashMap<String, String>) -> anyhow::Result<Vec<Row>> {
    let value = |name: &String| variables.get(name).map(|value| Text(value)).with_context(|| format!("no :{name}"));
    let values: Vec<Text<'_>> = prepared.names.iter().map(value).collect::<anyhow::Result<_>>()?;
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    Ok(client.query(&prepared.statement, &values).await?)
}

/// `:a`, `7`, `:a + 1`.
fn evaluate(words: &[String], variables: &HashMap<String, String>) -> anyhow::Result<String> {
    let value = |word: &String| match word.strip_prefix(':') {
        Some(name) => variables.get(name).cloned().with_context(|| format!("no :{name}")),
        None => Ok(word.clone()),
    };
    match words {
        [one] => value(one),
        [one, plus, other] if plus == "+" => {
            Ok((value(one)?.parse::<i64>()? + value(other)?.parse::<i64>()?).to_string())
        }
        _ => anyhow::bail!("the bare loop does not know {words:?}"),
    }
}

/// A column as psql would show it. NULL is empty, as pgbench has it.
fn shown(row: &Row, place: usize) -> anyhow::Result<String> {
    let shown = match *row.columns()[place].type_() {
        Type::INT2 => row.get::<_, Option<i16>>(place).map(|value| value.to_string()),
        Type::INT4 => row.get::<_, Option<i32>>(place).map(|value| value.to_string()),
        Type::INT8 => row.get::<_, Option<i64>>(place).map(|value| value.to_string()),
        Type::BOOL => row.get::<_, Option<bool>>(place).map(|value| value.to_string()),
        Type::JSONB => row.get::<_, Option<serde_json::Value>>(place).map(|value| value.to_string()),
        Type::TEXT | Type::VARCHAR => row.get(place),
        ref other => anyhow::bail!("\\gset of a {other}"),
    };
    Ok(shown.unwrap_or_default())
}

/// A value of any type in the type's own text format, as pgbench sends all of them.
#[derive(Debug)]
struct Text<'a>(&'a str);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}
