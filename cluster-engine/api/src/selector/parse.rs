//! The label selector grammar: a lexer and a recursive descent parser that fail with upstream's texts.

use super::labels::{Operator, Requirement};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Id(String),
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
    Bad(String),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::End => "",
            Self::Close => ")",
            Self::Comma => ",",
            Self::Not => "!",
            Self::DoubleEquals => "==",
            Self::Equals => "=",
            Self::Greater => ">",
            Self::Id(text) | Self::Bad(text) => text,
            Self::In => "in",
            Self::Less => "<",
            Self::NotEquals => "!=",
            Self::NotIn => "notin",
            Self::Open => "(",
        }
    }
}

fn special(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn lex(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(space);
    while let Some(first) = rest.chars().next() {
        let end = if special(first) {
            // The longest run of symbols that is a token: `==` but not `)(`.
            let two = rest.get(..2).filter(|s| matches!(*s, "==" | "!="));
            two.map_or(1, str::len)
        } else {
            rest.find(|c| special(c) || space(c)).unwrap_or(rest.len())
        };
        let (word, tail) = rest.split_at(end);
        tokens.push(match word {
            ")" => Token::Close,
            "," => Token::Comma,
            "!" => Token::Not,
            "==" => Token::DoubleEquals,
            "=" => Token::Equals,
            ">" => Token::Greater,
            "in" => Token::In,
            "<" => Token::Less,
            "!=" => Token::NotEquals,
            "notin" => Token::NotIn,
            "(" => Token::Open,
            "\0" => Token::Bad(word.to_owned()),
            other => Token::Id(other.to_owned()),
        });
        rest = tail.trim_start_matches(space);
    }
    tokens.push(Token::End);
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

/// Parses a whole selector.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    Parser { tokens: lex(text), at: 0 }.all()
}

impl Parser {
    /// The token `ahead` places on. In a place for values `in` and `notin` are plain words.
    fn peek(&self, ahead: usize, values: bool) -> Token {
        match self.tokens.get(self.at + ahead).unwrap_or(&Token::End) {
            Token::In if values => Token::Id("in".to_owned()),
            Token::NotIn if values => Token::Id("notin".to_owned()),
            token => token.clone(),
        }
    }

    fn next(&mut self, values: bool) -> Token {
        let token = self.peek(0, values);
        self.at += 1;
        token
    }

    fn all(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek(0, true) {
                Token::Id(_) | Token::Not => {
                    requirements.push(self.requirement().map_err(|e| format!("unable to parse requirement: {e}"))?);
                    match self.next(true) {
                        Token::End => return Ok(requirements),
                        Token::Comma => {
                            let token = self.peek(0, true);
                            if !matches!(token, Token::Id(_) | Token::Not) {
                                return Err(format!("found '{}', expected: identifier after ','", token.text()));
                            }
                        }
                        token => return Err(format!("found '{}', expected: ',' or 'end of string'", token.text())),
                    }
                }
                Token::End => return Ok(requirements),
                token => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", token.text())),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut absent = false;
        let mut token = self.next(true);
        if token == Token::Not {
            absent = true;
            token = self.next(true);
        }
        let Token::Id(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        let messages = crate::names::is_qualified_name(&key);
        if !messages.is_empty() {
            return Err(format!("key: Invalid value: {}: {}", crate::go_quote(&key), messages.join("; ")));
        }
        if matches!(self.peek(0, true), Token::End | Token::Comma) {
            return Requirement::new(&key, if absent { Operator::DoesNotExist } else { Operator::Exists }, Vec::new());
        }
        if absent {
            return Requirement::new(&key, Operator::DoesNotExist, Vec::new());
        }
        let operator = match self.next(false) {
            Token::In => Operator::In,
            Token::NotIn => Operator::NotIn,
            Token::Equals => Operator::Equals,
            Token::DoubleEquals => Operator::DoubleEquals,
            Token::NotEquals => Operator::NotEquals,
            Token::Greater => Operator::GreaterThan,
            Token::Less => Operator::LessThan,
            token => return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", token.text())),
        };
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        Requirement::new(&key, operator, values)
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek(0, true), Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next(true) {
            Token::Id(text) => Ok(text),
            token => Err(format!("found '{}', expected: identifier", token.text())),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let token = self.next(true);
        if token != Token::Open {
            return Err(format!("found '{}' expected: '('", token.text()));
        }
        match self.peek(0, true) {
            Token::Id(_) | Token::Comma => {
                let values = self.identifiers()?;
                let token = self.next(true);
                if token != Token::Close {
                    return Err(format!("found '{}', expected: ')'", token.text()));
                }
                Ok(values)
            }
            Token::Close => {
                self.at += 1;
                Ok(Vec::new())
            }
            token => Err(format!("found '{}', expected: ',', ')' or identifier", token.text())),
        }
    }

    fn identifiers(&mut self) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        loop {
            match self.next(true) {
                Token::Id(text) => {
                    values.push(text);
                    match self.peek(0, true) {
                        Token::Comma => {}
                        Token::Close => return Ok(values),
                        token => return Err(format!("found '{}', expected: ',' or ')'", token.text())),
                    }
                }
                Token::Comma => {
                    if values.is_empty() {
                        // `(,a)`: the empty string and more.
                        values.push(String::new());
                    }
                    match self.peek(0, true) {
                        Token::Close => {
                            values.push(String::new());
                            return Ok(values);
                        }
                        Token::Comma => {
                            self.at += 1;
                            values.push(String::new());
                        }
                        _ => {}
                    }
                }
                token => return Err(format!("found '{}', expected: ',', or identifier", token.text())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::selector::Selector;

    #[test]
    fn reads_what_upstream_reads() {
        for (text, want) in [
            ("", ""),
            ("a=b", "a=b"),
            ("x=1,a==2", "a==2,x=1"),
            (" a in ( c , b ) ", "a in (b,c)"),
            ("a notin (in,notin)", "a notin (in,notin)"),
            ("!a,b", "!a,b"),
            ("a!=", "a!="),
            ("a=,b", "a=,b"),
            ("a>1,b<2", "a>1,b<2"),
            ("in=x", "in=x"),
            ("a in (,b)", "a in (,b)"),
        ] {
            assert_eq!(Selector::parse(text).map(|s| s.to_string()), Ok(want.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn refuses_with_upstreams_texts() {
        for (text, want) in [
            ("a in", "unable to parse requirement: found '' expected: '('"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            ("=a", "found '=', expected: !, identifier, or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            (
                "a>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
            (
                "a in ()",
                "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
            ),
        ] {
            assert_eq!(Selector::parse(text), Err(want.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn matches_as_upstream() {
        let labels = [("app", "web"), ("n", "5")];
        for (text, want) in [
            ("", true),
            ("app=web", true),
            ("app!=web", false),
            ("gone!=web", true),
            ("gone notin (a)", true),
            ("!gone", true),
            ("app in (a,web)", true),
            ("n>4,n<6", true),
            ("n>5", false),
            ("app>1", false),
        ] {
            assert_eq!(Selector::parse(text).map(|s| s.matches(labels.iter().copied())), Ok(want), "{text:?}");
        }
    }
}
