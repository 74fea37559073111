//! Files for pgbench, read: the bare loop runs the very same ones.
//!
//! What a floor file may hold: statements that end with `;` or `\gset [PREFIX]` at a line's end, `\set NAME VALUE` with at most
//! one addition, `\startpipeline` and `\endpipeline`. A line `-- inputs` says that the next statement only makes what the
//! path's own statements are given: its time counts for nobody.

use anyhow::{Context, bail};

/// One command of a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `\set`.
    Set {
        /// Of what.
        name: String,
        /// Words of the expression.
        words: Vec<String>,
    },
    /// A statement.
    Statement(Statement),
    /// What follows is sent without waiting for answers.
    StartPipeline,
    /// All answers are waited for.
    EndPipeline,
}

/// A statement with its variables as parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// With `$1`, `$2` and so on.
    pub sql: String,
    /// The variable of each parameter.
    pub names: Vec<String>,
    /// `\gset`: its only row becomes variables, with this before their names.
    pub gset: Option<String>,
    /// Makes inputs.
    pub inputs: bool,
}

/// Reads a file's commands.
pub fn parse(text: &str) -> anyhow::Result<Vec<Command>> {
    let mut commands = Vec::new();
    let (mut inputs, mut pending) = (false, String::new());
    for line in text.lines() {
        let trimmed = line.trim();
        if pending.is_empty() && (trimmed.is_empty() || trimmed.starts_with("--")) {
            inputs |= trimmed == "-- inputs";
        } else if pending.is_empty() && trimmed.starts_with('\\') {
            commands.push(meta(trimmed)?);
        } else {
            pending.push_str(line);
            pending.push('\n');
            let end = match (trimmed.strip_suffix(';'), trimmed.split_once("\\gset")) {
                (Some(_), None) => None,
                (None, Some((_, prefix))) => Some(prefix.trim().to_owned()),
                _ => continue,
            };
            let sql = std::mem::take(&mut pending);
            let sql = sql.trim_end().trim_end_matches(';');
            let sql = sql.split_once("\\gset").map_or(sql, |(sql, _)| sql).trim_end();
            let (sql, names) = numbered(sql);
            commands.push(Command::Statement(Statement { sql, names, gset: end, inputs: std::mem::take(&mut inputs) }));
        }
    }
    anyhow::ensure!(pending.is_empty(), "the last statement has no end: {pending}");
    Ok(commands)
}

fn meta(line: &str) -> anyhow::Result<Command> {
    let mut words = line.split_whitespace();
    Ok(match words.next() {
        Some("\\startpipeline") => Command::StartPipeline,
        Some("\\endpipeline") => Command::EndPipeline,
        Some("\\set") => {
            let name = words.next().context("\\set of nothing")?.to_owned();
            Command::Set { name, words: words.map(str::to_owned).collect() }
        }
        _ => bail!("the bare loop does not know {line}"),
    })
}

/// `:name` becomes `$n`; `::type` stays.
fn numbered(sql: &str) -> (String, Vec<String>) {
    let (mut out, mut names): (String, Vec<String>) = (String::with_capacity(sql.len()), Vec::new());
    let mut rest = sql;
    while let Some(at) = rest.find(':') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let colons = rest.len() - rest.trim_start_matches(':').len();
        let after = &rest[colons..];
        let length = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        if colons > 1 || length == 0 || after.starts_with(|c: char| c.is_ascii_digit()) {
            out.push_str(&rest[..colons]);
            rest = after;
            continue;
        }
        let name = &after[..length];
        let number = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        out.push_str(&format!("${}", number + 1));
        rest = &after[length..];
    }
    out.push_str(rest);
    (out, names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use switchboard_common::store::testkit::hot_statements;

    use super::super::FILES;
    use super::*;

    #[test]
    fn a_file_is_read_as_pgbench_reads_it() {
        let text = "-- about\n\\set n :m + 1\n-- inputs\nSELECT 1 AS one,\n 2::text AS two \\gset x_\n\
                    \\startpipeline\nBEGIN;\nINSERT INTO t VALUES (:a::int, ':1', :a);\n\\endpipeline\n";
        let statement = |sql: &str, names: &[&str], gset: Option<&str>, inputs| {
            let names = names.iter().map(ToString::to_string).collect();
            Command::Statement(Statement { sql: sql.to_owned(), names, gset: gset.map(str::to_owned), inputs })
        };
        let want = [
            Command::Set { name: "n".to_owned(), words: [":m", "+", "1"].map(str::to_owned).to_vec() },
            statement("SELECT 1 AS one,\n 2::text AS two", &[], Some("x_"), true),
            Command::StartPipeline,
            statement("BEGIN", &[], None, false),
            statement("INSERT INTO t VALUES ($1::int, ':1', $1)", &["a"], None, false),
            Command::EndPipeline,
        ];
        assert_eq!(parse(text).unwrap(), want);
    }

    /// Parameters numbered by their first places, blanks made one: what two spellings of one statement share.
    fn shape(sql: &str) -> String {
        let (mut order, mut out): (Vec<&str>, String) = (Vec::new(), String::new());
        let mut rest = sql;
        while let Some(at) = rest.find('$') {
            let digits = rest[at + 1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - at - 1);
            let number = &rest[at + 1..at + 1 + digits];
            let place = order.iter().position(|known| *known == number).unwrap_or_else(|| {
                order.push(number);
                order.len() - 1
            });
            out.push_str(&rest[..at]);
            out.push_str(&format!("${place}"));
            rest = &rest[at + 1 + digits..];
        }
        out.push_str(rest);
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Where the floor differs on purpose: constants, and arrays of one, instead of parameters.
    fn shortened(sql: &str) -> String {
        let mut sql = sql.to_owned();
        for kind in ["::text[]", "::bigint[]", "::int[]", "::int2[]", "::text::jsonb"] {
            let mut parts = sql.split(kind).peekable();
            let mut out = String::new();
            while let Some(part) = parts.next() {
                let given = parts.peek().is_some();
                out.push_str(if given { &part[..start_of_value(part)] } else { part });
                out.push_str(if given { "?" } else { "" });
                out.push_str(if given { kind } else { "" });
            }
            sql = out;
        }
        sql
    }

    /// Where the value at the end of `sql` begins: `ARRAY[…]`, `'…'`, or a word.
    fn start_of_value(sql: &str) -> usize {
        if sql.ends_with(']') {
            return sql.rfind("ARRAY[").unwrap_or(0);
        }
        if let Some(quoted) = sql.strip_suffix('\'') {
            return quoted.rfind('\'').unwrap_or(0);
        }
        sql.rfind(|c: char| !(c.is_alphanumeric() || c == '$' || c == '_')).map_or(0, |at| at + 1)
    }

    #[test]
    fn the_floors_are_the_paths_own_statements() {
        let products: Vec<String> = hot_statements().iter().map(|sql| shape(&shortened(sql))).collect();
        let mut found = 0;
        for (file, text) in FILES {
            for command in parse(text).unwrap() {
                let Command::Statement(Statement { sql, inputs: false, .. }) = command else { continue };
                let plain = ["BEGIN", "COMMIT"];
                if plain.contains(&sql.as_str()) || !file.path_of_the_product() {
                    continue;
                }
                let (floor, whole) = (shape(&shortened(&sql)), |product: &String| {
                    let floor = shape(&shortened(&sql));
                    // The drain's first statement goes on where the program would: its end became one more CTE.
                    product.split(" SELECT s.seen").all(|part| floor.contains(part))
                });
                assert!(products.iter().any(whole), "{file:?}: not (any more) a statement of the product:\n{floor}");
                found += 1;
            }
        }
        assert!(found >= 15, "{found}");
    }
}
