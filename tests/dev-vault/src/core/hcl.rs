//! The little of HCL that policies use: labelled blocks, and strings, numbers and lists as values.

use serde_json::{Map, Value};

/// Turns `path "x" { k = v }` into `{"path": {"x": {"k": v}}}`.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text };
    let mut document = Map::new();
    loop {
        parser.skip();
        if parser.rest.is_empty() {
            return Ok(Value::Object(document));
        }
        let key = parser.word()?;
        parser.skip();
        if parser.eat('=') {
            document.insert(key, parser.value()?);
            continue;
        }
        let label = parser.string()?;
        let block = parser.block()?;
        let blocks = document.entry(key).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(blocks) = blocks else { return Err("a block and a value share a name".to_owned()) };
        blocks.insert(label, block);
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
            } else if self.rest.starts_with("/*") {
                self.rest = self.rest.split_once("*/").map_or("", |(_, rest)| rest);
            } else {
                return;
            }
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip();
        let found = self.rest.strip_prefix(wanted);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn word(&mut self) -> Result<String, String> {
        self.skip();
        if self.rest.starts_with('"') {
            return self.string();
        }
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(self.rest.len());
        if end == 0 {
            return Err(format!("unexpected token at {:?}", self.rest.chars().take(12).collect::<String>()));
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(word.to_owned())
    }

    fn string(&mut self) -> Result<String, String> {
        self.skip();
        let mut strings = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let text = strings.next().ok_or("literal not terminated")?.map_err(|error| error.to_string())?;
        self.rest = &self.rest[strings.byte_offset()..];
        Ok(text)
    }

    fn block(&mut self) -> Result<Value, String> {
        if !self.eat('{') {
            return Err("expected a block".to_owned());
        }
        let mut block = Map::new();
        while !self.eat('}') {
            let key = self.word()?;
            if !self.eat('=') {
                return Err(format!("\"{key}\" has no value"));
            }
            let value = self.value()?;
            block.insert(key, value);
            self.eat(',');
        }
        Ok(Value::Object(block))
    }

    fn value(&mut self) -> Result<Value, String> {
        self.skip();
        if self.rest.starts_with('"') {
            return Ok(Value::String(self.string()?));
        }
        if !self.eat('[') {
            let word = self.word()?;
            return serde_json::from_str(&word).map_err(|_| format!("invalid value {word}"));
        }
        let mut items = Vec::new();
        while !self.eat(']') {
            items.push(self.value()?);
            self.eat(',');
        }
        Ok(Value::Array(items))
    }
}
