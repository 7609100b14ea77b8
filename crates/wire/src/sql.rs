//! What SQL text would do.
//!
//! Promise: the intent is that of the most dangerous statement in any dialect that can read the text. Text that none
//! can, text beyond [`SQL_BYTES_MAX`], comments that some servers run (`/*! … */`), statements that are not listed and
//! functions that reach files, networks or programs are [`SqlIntent::Admin`]: *fails closed*.
//! Exceptions: what a function or trigger of the database does is not known here: `SELECT f()` reads.

use sqlparser::dialect::{
    Dialect, GenericDialect, MsSqlDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

/// Longest text that is read, in bytes.
pub const SQL_BYTES_MAX: usize = 64 * 1024;
/// Nesting of expressions.
const DEPTH_MAX: usize = 40;

/// What a statement does, from the least to the most dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SqlIntent {
    /// Reads rows, or says what there is.
    Read,
    /// Changes rows.
    Write,
    /// Changes tables and the like.
    Ddl,
    /// Changes rights or settings, reaches beyond the database, or cannot be told.
    Admin,
}

/// Functions that reach files, networks, programs or settings.
const REACHING: &[&str] = &[
    "pg_read_file",
    "pg_read_binary_file",
    "pg_ls_dir",
    "pg_ls_logdir",
    "pg_ls_waldir",
    "pg_stat_file",
    "lo_import",
    "lo_export",
    "lo_from_bytea",
    "lo_put",
    "dblink",
    "dblink_exec",
    "dblink_connect",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_file_write",
    "pg_logdir_ls",
    "pg_execute_server_program",
    "set_config",
    "query_to_xml",
    "database_to_xml",
    "table_to_xml",
    "load_file",
    "sys_exec",
    "sys_eval",
    "load_extension",
    "readfile",
    "writefile",
    "edit",
    "fts3_tokenizer",
    "xp_cmdshell",
    "xp_dirtree",
    "xp_fileexist",
    "xp_regread",
    "openrowset",
    "opendatasource",
    "openquery",
    "utl_http",
    "utl_file",
    "dbms_scheduler",
    "file",
    "url",
    "s3",
    "remote",
    "remotesecure",
    "mysql",
    "postgresql",
    "executable",
    "hdfs",
    "jdbc",
    "odbc",
    "read_csv",
    "read_csv_auto",
    "read_parquet",
    "read_json",
    "read_json_auto",
    "read_text",
    "read_blob",
    "glob",
    "parquet_scan",
    "csv_scan",
    "sqlite_scan",
    "system",
    "shell",
    "http_get",
    "http_post",
    "pg_sleep",
    "benchmark",
    "sleep",
];

/// What a text does.
pub fn intent(text: &str) -> SqlIntent {
    if text.len() > SQL_BYTES_MAX || text.contains("/*!") || text.contains("/*M!") {
        return SqlIntent::Admin;
    }
    let dialects: [&dyn Dialect; 5] =
        [&PostgreSqlDialect {}, &MySqlDialect {}, &SQLiteDialect {}, &MsSqlDialect {}, &GenericDialect {}];
    dialects.into_iter().filter_map(|dialect| intent_in(dialect, text)).max().unwrap_or(SqlIntent::Admin)
}

/// Whether any dialect reads a text as one statement or more.
pub fn parses(text: &str) -> bool {
    let sound = |dialect: &dyn Dialect| statements(dialect, text).is_some_and(|list| !list.is_empty());
    text.len() <= SQL_BYTES_MAX
        && (sound(&GenericDialect {}) || sound(&PostgreSqlDialect {}) || sound(&MySqlDialect {}))
}

fn statements(dialect: &dyn Dialect, text: &str) -> Option<Vec<String>> {
    let parser = Parser::new(dialect).with_recursion_limit(DEPTH_MAX);
    let statements = parser.try_with_sql(text).ok()?.parse_statements().ok()?;
    Some(statements.iter().map(ToString::to_string).collect())
}

/// What a text does in a dialect; nothing where the dialect cannot read it.
fn intent_in(dialect: &dyn Dialect, text: &str) -> Option<SqlIntent> {
    let canonical = statements(dialect, text)?;
    let of_one = |statement: &String| {
        // As it is written back: one spelling of each statement.
        let tokens = Tokenizer::new(dialect, statement).tokenize().ok();
        tokens.map_or(SqlIntent::Admin, |tokens| of_statement(&tokens))
    };
    // The text's own tokens too: what is not written back is not forgotten.
    let own = Tokenizer::new(dialect, text).tokenize().ok()?;
    let reaches = if reaches(&own) { SqlIntent::Admin } else { SqlIntent::Read };
    Some(canonical.iter().map(of_one).max().unwrap_or(SqlIntent::Read).max(reaches))
}

fn of_statement(tokens: &[Token]) -> SqlIntent {
    let words: Vec<(String, Keyword)> = tokens
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) if word.quote_style.is_none() => {
                Some((word.value.to_ascii_uppercase(), word.keyword))
            }
            _ => None,
        })
        .collect();
    let word = |at: usize| words.get(at).map(|(word, _)| word.as_str()).unwrap_or_default();
    let says = |wanted: &[&str]| words.iter().any(|(word, _)| wanted.contains(&word.as_str()));
    match word(0) {
        "SELECT" | "WITH" | "VALUES" | "TABLE" | "FROM" | "EXPLAIN" | "PRAGMA" | "INSERT" | "UPDATE"
        | "DELETE" | "MERGE" | "REPLACE" => {
            if says(&["OUTFILE", "DUMPFILE", "PROGRAM"])
                || (word(0) == "PRAGMA" && tokens.contains(&Token::Eq))
            {
                SqlIntent::Admin
            } else if words.iter().any(|(_, k)| {
                matches!(k, Keyword::CREATE | Keyword::DROP | Keyword::ALTER | Keyword::TRUNCATE)
            }) || (word(0) != "INSERT"
                && word(0) != "MERGE"
                && word(0) != "REPLACE"
                && says(&["INTO"])
                && !says(&["INSERT", "MERGE", "REPLACE"]))
            {
                SqlIntent::Ddl
            } else if words.iter().any(|(_, k)| {
                matches!(k, Keyword::INSERT | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE)
            }) || word(0) == "REPLACE"
            {
                SqlIntent::Write
            } else {
                SqlIntent::Read
            }
        }
        "SHOW" | "DESCRIBE" | "DESC" | "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT"
        | "RELEASE" => SqlIntent::Read,
        "CREATE" | "ALTER" | "DROP" | "TRUNCATE" | "COMMENT" | "ANALYZE" | "VACUUM" => {
            let reaching = [
                "SYSTEM",
                "ROLE",
                "USER",
                "GROUP",
                "EXTENSION",
                "FUNCTION",
                "PROCEDURE",
                "TRIGGER",
                "LANGUAGE",
                "SERVER",
                "SUBSCRIPTION",
                "PUBLICATION",
                "SECRET",
                "POLICY",
                "DATABASE",
                "STAGE",
                "MACRO",
                "CONNECTOR",
                "WRAPPER",
                "EXTERNAL",
                "AGGREGATE",
                "OPERATOR",
                "PASSWORD",
                "OWNER",
                "SECURITY",
                "PROGRAM",
                "LOCATION",
            ];
            if says(&reaching) { SqlIntent::Admin } else { SqlIntent::Ddl }
        }
        _ => SqlIntent::Admin,
    }
}

/// Whether a text calls something that reaches out of the database.
fn reaches(tokens: &[Token]) -> bool {
    let seen: Vec<&Token> = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    seen.iter().enumerate().any(|(at, token)| {
        let Token::Word(word) = token else { return false };
        let name = word.value.to_ascii_lowercase();
        let called = seen.get(at + 1).is_some_and(|next| **next == Token::LParen);
        name.starts_with("xp_") || (called && REACHING.contains(&name.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_by_the_most_dangerous() {
        use SqlIntent::{Admin, Ddl, Read, Write};
        for (text, wanted) in [
            ("SELECT 1", Read),
            ("select * from t where a = 'DROP TABLE t'", Read),
            ("select \"update\" from t", Read),
            ("WITH a AS (SELECT 1) SELECT * FROM a", Read),
            ("EXPLAIN SELECT * FROM t", Read),
            ("SHOW TABLES", Read),
            ("BEGIN; SELECT 1; COMMIT", Read),
            ("SELECT count(*), replace(a, 'x', 'y') FROM t", Read),
            ("INSERT INTO t VALUES (1)", Write),
            ("UPDATE t SET a = 1", Write),
            ("DELETE FROM t", Write),
            ("SELECT 1; DELETE FROM t", Write),
            ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", Write),
            ("SELECT * FROM t FOR UPDATE", Write),
            ("DROP TABLE t", Ddl),
            ("CREATE TABLE t (a int)", Ddl),
            ("ALTER TABLE t ADD COLUMN a int", Ddl),
            ("TRUNCATE TABLE t", Ddl),
            ("SELECT * INTO b FROM t", Ddl),
            ("SELECT 1; DR/**/OP TABLE t", Admin),
            ("COPY t TO PROGRAM 'sh'", Admin),
            ("COPY t FROM '/etc/passwd'", Admin),
            ("SELECT pg_read_file('/etc/passwd')", Admin),
            ("SELECT PG_READ_FILE ('/etc/passwd')", Admin),
            ("SELECT \"pg_read_file\"('/etc/passwd')", Admin),
            ("SELECT pg_catalog.pg_read_file('x')", Admin),
            ("SELECT load_file('/etc/passwd')", Admin),
            ("SELECT * FROM t INTO OUTFILE '/tmp/x'", Admin),
            ("SELECT 1 /*!50000 INTO OUTFILE '/tmp/x' */", Admin),
            ("ALTER SYSTEM SET a = 1", Admin),
            ("SET ROLE postgres", Admin),
            ("GRANT ALL ON t TO PUBLIC", Admin),
            ("CREATE EXTENSION x", Admin),
            ("DO $$ BEGIN END $$", Admin),
            ("CALL f()", Admin),
            ("EXEC xp_cmdshell 'dir'", Admin),
            ("ATTACH DATABASE 'x' AS y", Admin),
            ("LOAD DATA INFILE 'x' INTO TABLE t", Admin),
            ("nonsense", Admin),
            ("", Read),
            ("\\! sh", Admin),
        ] {
            assert_eq!(intent(text), wanted, "{text}");
        }
        assert_eq!(intent(&"(".repeat(60_000)), Admin);
        assert_eq!(intent(&format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000))), Admin);
        assert_eq!(intent(&format!("SELECT {}", "- ".repeat(20_000) + "1")), Admin);
        assert_eq!(intent(&"x".repeat(SQL_BYTES_MAX + 1)), Admin);
    }

    #[test]
    fn what_parses_is_told_from_prose() {
        assert!(parses("select 1") && parses("DROP TABLE t"));
        assert!(!parses("select a good restaurant for me") && !parses("cats") && !parses(""));
    }
}
