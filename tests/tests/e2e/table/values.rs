//! The values that the tables are made of: for each type of field its nasty ones, in their order.

/// One value.
pub struct Value {
    /// As clients may write it, as JSON: each of these is the same value.
    pub given: &'static [&'static str],
    /// As every client reads it.
    pub read: &'static str,
}

/// A type of field.
pub struct Column {
    /// The field that may be null. There are also the required one (`textAlways`), a list (`texts`) and a required list
    /// (`textsAlways`).
    pub name: &'static str,
    /// Which operators it has.
    pub operators: Operators,
    /// Least first, all different.
    pub values: &'static [Value],
}

/// The operators of a type, beside `isNull`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operators {
    /// None.
    None,
    /// `eq neq`
    Equal,
    /// And `in notIn`
    In,
    /// And `lt lte gt gte`
    Order,
    /// And `contains startsWith endsWith containsIgnoreCase eqIgnoreCase`
    Text,
}

impl Column {
    /// The name of the field that is never null.
    pub fn always(&self) -> String {
        format!("{}Always", self.name)
    }

    /// The name of the list that may be null.
    pub fn list(&self) -> String {
        format!("{}s", self.name)
    }

    /// The name of the list that is never null.
    pub fn list_always(&self) -> String {
        format!("{}sAlways", self.name)
    }

    /// The name of the type of its filter's operands.
    pub fn is_enum(&self) -> bool {
        self.name == "hue"
    }

    /// Each way to write each value, with the place of the value.
    pub fn forms(&self) -> Vec<(usize, &'static str)> {
        let forms = |(i, value): (usize, &Value)| value.given.iter().map(move |given| (i, *given)).collect::<Vec<_>>();
        self.values.iter().enumerate().flat_map(forms).collect()
    }
}

/// Read as it is written.
macro_rules! same {
    ($($text:literal),+ $(,)?) => { &[$(Value { given: &[$text], read: $text }),+] };
}

const fn v(given: &'static [&'static str], read: &'static str) -> Value {
    Value { given, read }
}

/// All types.
pub const COLUMNS: &[Column] = &[
    Column { name: "text", operators: Operators::Text, values: TEXTS },
    Column { name: "code", operators: Operators::Order, values: CODES },
    Column { name: "int", operators: Operators::Order, values: INTS },
    Column { name: "float", operators: Operators::Order, values: FLOATS },
    Column { name: "flag", operators: Operators::Equal, values: same!["false", "true"] },
    Column { name: "big", operators: Operators::Order, values: BIGS },
    Column { name: "money", operators: Operators::Order, values: MONEYS },
    Column { name: "whole", operators: Operators::Order, values: WHOLES },
    Column { name: "part", operators: Operators::Order, values: PARTS },
    Column { name: "at", operators: Operators::Order, values: INSTANTS },
    Column { name: "day", operators: Operators::Order, values: DAYS },
    Column { name: "uid", operators: Operators::In, values: UIDS },
    Column { name: "json", operators: Operators::None, values: JSONS },
    Column {
        name: "hue",
        operators: Operators::In,
        values: same![r#""AMBER""#, r#""BLUE""#, r#""GREEN""#, r#""RED""#],
    },
];

/// By code point, which is neither the order of UTF-16 (U+FFFF is less than 😀) nor that of any language.
const TEXTS: &[Value] = &[
    v(&[r#""""#], r#""""#),
    v(
        &[r#""\u0001\u001f\b\t\n\f\r""#, r#""\u0001\u001F\u0008\u0009\u000a\u000C\u000d""#],
        r#""\u0001\u001f\b\t\n\f\r""#,
    ),
    v(&[r#"" ""#, r#""\u0020""#], r#"" ""#),
    v(&[r#"" a ""#], r#"" a ""#),
    v(&[r#""\"""#], r#""\"""#),
    v(&[r#""$1 ? :x @y""#], r#""$1 ? :x @y""#),
    v(&[r#""%""#], r#""%""#),
    v(&[r#""'""#], r#""'""#),
    v(&[r#""/""#, r#""\/""#], r#""/""#),
    v(&[r#""1""#], r#""1""#),
    v(&[r#""1.0""#], r#""1.0""#),
    v(&[r#""A""#], r#""A""#),
    v(&[r#""AB""#], r#""AB""#),
    v(&[r#""[]""#], r#""[]""#),
    v(&[r#""\\""#], r#""\\""#),
    v(&[r#""_""#], r#""_""#),
    v(&[r#""a""#], r#""a""#),
    v(&[r#""aB""#], r#""aB""#),
    v(&[r#""a_b%c\\d""#], r#""a_b%c\\d""#),
    v(&[r#""ab""#], r#""ab""#),
    v(&[r#""e\u0301""#], "\"e\u{301}\""),
    v(&[r#""null""#], r#""null""#),
    v(&[r#""z""#], r#""z""#),
    v(&[r#""\u007f""#], "\"\u{7f}\""),
    v(&[r#""\u0085""#], "\"\u{85}\""),
    v(&[r#""ß""#], r#""ß""#),
    v(&[r#""\u00e9""#, r#""é""#], r#""é""#),
    v(&[r#""İ""#], r#""İ""#),
    v(&[r#""ı""#], r#""ı""#),
    v(&[r#""ẞ""#], r#""ẞ""#),
    v(&[r#""\u2028""#], "\"\u{2028}\""),
    v(&[r#""\u212a""#], "\"\u{212a}\""),
    v(&[r#""日本語""#], r#""日本語""#),
    v(&[r#""\ufeffx""#], "\"\u{feff}x\""),
    v(&[r#""\uffff""#], "\"\u{ffff}\""),
    v(&[r#""😀""#, r#""\ud83d\ude00""#], r#""😀""#),
    v(&[r#""😀é😀""#], r#""😀é😀""#),
    v(&[r#""\udbff\udfff""#], "\"\u{10ffff}\""),
];

const CODES: &[Value] = &[
    v(&[r#""""#], r#""""#),
    v(&[r#""0""#, "0"], r#""0""#),
    v(&[r#""007""#], r#""007""#),
    v(&[r#""7""#, "7"], r#""7""#),
    v(&[r#""9223372036854775807""#, "9223372036854775807"], r#""9223372036854775807""#),
    v(&[r#""A""#], r#""A""#),
    v(&[r#""a'b\"c\\d""#], r#""a'b\"c\\d""#),
    v(&[r#""é""#], r#""é""#),
    v(&[r#""😀""#], r#""😀""#),
];

const INTS: &[Value] = &[
    v(&["-2147483648"], "-2147483648"),
    v(&["-1"], "-1"),
    v(&["0", "-0"], "0"),
    v(&["1"], "1"),
    v(&["9"], "9"),
    v(&["10"], "10"),
    v(&["2147483647"], "2147483647"),
];

/// Zero has no sign, and every other float comes back as it was, at the ends of the range too.
const FLOATS: &[Value] = &[
    v(&["-1.7976931348623157e308", "-1.7976931348623157E+308"], "-1.7976931348623157e+308"),
    v(&["-1e100"], "-1e+100"),
    v(&["-0.1"], "-0.1"),
    v(&["-2.2250738585072011e-308"], "-2.225073858507201e-308"),
    v(&["-5e-324"], "-5e-324"),
    v(&["0", "-0", "0.0", "-0.0", "0e10", "1e-400"], "0.0"),
    v(&["5e-324", "4.9e-324"], "5e-324"),
    v(&["9.5e-320"], "9.5e-320"),
    v(&["2.2250738585072014e-308"], "2.2250738585072014e-308"),
    v(&["6.67430e-211"], "6.6743e-211"),
    v(&["1.2345678901234567e-123"], "1.2345678901234567e-123"),
    v(&["9.1093837e-81"], "9.1093837e-81"),
    v(&["1e-7"], "1e-7"),
    v(&["0.00001", "1e-5"], "0.00001"),
    v(&["0.1", "1e-1", "0.10"], "0.1"),
    v(&["0.30000000000000004"], "0.30000000000000004"),
    v(&["1", "1.0"], "1.0"),
    v(&["1.0000000000000002"], "1.0000000000000002"),
    v(&["3.0000000000000004"], "3.0000000000000004"),
    v(&["51.248178375505404"], "51.248178375505404"),
    v(&["123456789.12345679"], "123456789.12345679"),
    v(&["9007199254740992", "9007199254740993"], "9007199254740992.0"),
    v(&["9223372036854775808", "9223372036854775807"], "9.223372036854776e+18"),
    v(&["1e21"], "1e+21"),
    v(&["8.41e21"], "8.41e+21"),
    v(&["6.02214076e23"], "6.02214076e+23"),
    v(&["9.999999999999999e99"], "9.999999999999998e+99"),
    v(&["7.3e123"], "7.3e+123"),
    v(&["1.2345678901234567e200"], "1.2345678901234567e+200"),
    v(&["8.98846567431158e307"], "8.98846567431158e+307"),
    v(&["1e308"], "1e+308"),
    v(&["1.7976931348623157e308"], "1.7976931348623157e+308"),
];

const BIGS: &[Value] = &[
    v(&[r#""-9223372036854775808""#, "-9223372036854775808"], r#""-9223372036854775808""#),
    v(&[r#""-9007199254740993""#], r#""-9007199254740993""#),
    v(&[r#""-1""#, "-1"], r#""-1""#),
    v(&[r#""0""#, "0", r#""-0""#], r#""0""#),
    v(&[r#""9""#, r#""009""#], r#""9""#),
    v(&[r#""10""#], r#""10""#),
    v(&[r#""9007199254740992""#], r#""9007199254740992""#),
    v(&[r#""9007199254740993""#, "9007199254740993"], r#""9007199254740993""#),
    v(&[r#""9223372036854775807""#, "9223372036854775807"], r#""9223372036854775807""#),
];

const MONEYS: &[Value] = &[
    v(&[r#""-999999999999999.999""#], r#""-999999999999999.999""#),
    v(&[r#""-1.5""#, r#""-1.500000000000000000000000""#], r#""-1.500""#),
    v(&[r#""-0.001""#], r#""-0.001""#),
    v(&[r#""0""#, "0", r#""-0""#, r#""0.0000""#], r#""0.000""#),
    v(&[r#""0.001""#], r#""0.001""#),
    v(&[r#""9.99""#], r#""9.990""#),
    v(&[r#""10""#, "10", r#""0010.0""#], r#""10.000""#),
    v(&[r#""9007199254740.993""#], r#""9007199254740.993""#),
    v(&[r#""999999999999999.999""#], r#""999999999999999.999""#),
];

const WHOLES: &[Value] = &[
    v(&[r#""-999999999999999999""#], r#""-999999999999999999""#),
    v(&[r#""-1""#, "-1"], r#""-1""#),
    v(&[r#""0""#], r#""0""#),
    v(&[r#""9""#, r#""9.000""#], r#""9""#),
    v(&[r#""10""#], r#""10""#),
    v(&[r#""999999999999999999""#, "999999999999999999"], r#""999999999999999999""#),
];

const PARTS: &[Value] = &[
    v(&[r#""-0.999999999999999999""#], r#""-0.999999999999999999""#),
    v(&[r#""-0.000000000000000001""#], r#""-0.000000000000000001""#),
    v(&[r#""0""#], r#""0.000000000000000000""#),
    v(&[r#""0.000000000000000001""#], r#""0.000000000000000001""#),
    v(&[r#""0.09""#], r#""0.090000000000000000""#),
    v(&[r#""0.1""#], r#""0.100000000000000000""#),
    v(&[r#""0.999999999999999999""#], r#""0.999999999999999999""#),
];

/// In UTC, to the microsecond; what is finer is cut off.
const INSTANTS: &[Value] = &[
    v(&[r#""0001-01-01T00:00:00Z""#, r#""0001-01-01T14:00:00+14:00""#], r#""0001-01-01T00:00:00.000000Z""#),
    v(&[r#""1582-10-14T12:00:00Z""#], r#""1582-10-14T12:00:00.000000Z""#),
    v(&[r#""1883-11-18T12:03:57.999999Z""#], r#""1883-11-18T12:03:57.999999Z""#),
    v(&[r#""1969-12-31T23:59:59.999999Z""#, r#""1969-12-31T23:59:59.9999999Z""#], r#""1969-12-31T23:59:59.999999Z""#),
    v(
        &[r#""1970-01-01T00:00:00Z""#, r#""1970-01-01T05:30:00+05:30""#, r#""1969-12-31T12:00:00.0-12:00""#],
        r#""1970-01-01T00:00:00.000000Z""#,
    ),
    v(&[r#""1970-01-01T00:00:00.000001Z""#, r#""1970-01-01T00:00:00.0000019Z""#], r#""1970-01-01T00:00:00.000001Z""#),
    v(&[r#""2024-02-29T23:59:59.5-00:00""#, r#""2024-02-29t23:59:59.50z""#], r#""2024-02-29T23:59:59.500000Z""#),
    v(&[r#""2026-03-29T01:30:00Z""#, r#""2026-03-29T02:30:00+01:00""#], r#""2026-03-29T01:30:00.000000Z""#),
    v(&[r#""9999-12-31T23:59:59.999999Z""#], r#""9999-12-31T23:59:59.999999Z""#),
];

const DAYS: &[Value] = same![
    r#""0001-01-01""#,
    r#""1582-10-10""#,
    r#""1969-12-31""#,
    r#""1970-01-01""#,
    r#""2000-02-29""#,
    r#""2024-02-29""#,
    r#""9999-12-31""#,
];

const UIDS: &[Value] = &[
    v(&[r#""00000000-0000-0000-0000-000000000000""#], r#""00000000-0000-0000-0000-000000000000""#),
    v(
        &[r#""0190a0b0-1111-7222-8333-444455556666""#, r#""0190A0B0-1111-7222-8333-444455556666""#],
        r#""0190a0b0-1111-7222-8333-444455556666""#,
    ),
    v(&[r#""7fffffff-ffff-ffff-ffff-ffffffffffff""#], r#""7fffffff-ffff-ffff-ffff-ffffffffffff""#),
    v(&[r#""80000000-0000-0000-0000-000000000000""#], r#""80000000-0000-0000-0000-000000000000""#),
    v(&[r#""ffffffff-ffff-ffff-ffff-ffffffffffff""#], r#""ffffffff-ffff-ffff-ffff-ffffffffffff""#),
];

/// Numbers are 64-bit integers or floats, whatever they look like; keys keep their order.
const JSONS: &[Value] = &[
    v(&["true"], "true"),
    v(&["0"], "0"),
    v(&["-0.0"], "-0.0"),
    v(&["1.0", "1e0", "10e-1"], "1.0"),
    v(&["1e2", "100.0"], "100.0"),
    v(&["1e22"], "1e+22"),
    v(&["5e-324"], "5e-324"),
    v(&["1.7976931348623157e308"], "1.7976931348623157e+308"),
    v(&["9007199254740993"], "9007199254740993"),
    v(&["-9223372036854775808"], "-9223372036854775808"),
    v(&["18446744073709551615"], "18446744073709551615"),
    v(&["18446744073709551616"], "1.8446744073709552e+19"),
    v(&["0.1000000000000000055511151231257827"], "0.1"),
    v(&[r#""""#], r#""""#),
    v(&[r#""null""#], r#""null""#),
    v(
        &[r#""\u0001\u001f\b\t\n\f\r\"\\\/\u007f\u2028\uffff\ud83d\ude00e\u0301é""#],
        "\"\\u0001\\u001f\\b\\t\\n\\f\\r\\\"\\\\/\u{7f}\u{2028}\u{ffff}😀e\u{301}é\"",
    ),
    v(&["[]", " [ ] "], "[]"),
    v(&["{}"], "{}"),
    v(&["[null]"], "[null]"),
    v(
        &["[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"],
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    ),
    v(
        &[r#"{"z":1,"a":2,"Z":3,"aa":null,"_1":{"b":[1,2.50,{"c":"d"}],"a":false}}"#],
        r#"{"z":1,"a":2,"Z":3,"aa":null,"_1":{"b":[1,2.5,{"c":"d"}],"a":false}}"#,
    ),
    // Keys that a literal cannot have.
    v(
        &[r#"{"":1," ":2,"é":3,"\"":4,"\ud83d\ude00":5,"1":6,"$x":7}"#],
        r#"{"":1," ":2,"é":3,"\"":4,"😀":5,"1":6,"$x":7}"#,
    ),
];
