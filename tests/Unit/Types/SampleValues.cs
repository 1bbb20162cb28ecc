using System.Globalization;

namespace SharedStorage.Unit.Types;

/// <summary>Values of each type, as text, that find mistakes: the edges, and seeded random ones.</summary>
internal static class SampleValues
{
    private static readonly string[] Texts =
    [
        "", " ", "a", "abc", "ABC", "Hello, World", "  padded  ", "àéîõü ÀÉ", "naïve café", "日本語テキスト", "😀 smile", "a'b\"c", "back\\slash", "100%",
        "under_score", "tab\there", "line\nfeed", "aaaa", "xyzxyzxyz", "The quick brown fox", "select", "Mixed Case", "1,2,3", "foo.bar.baz", "ß",
    ];

    private static readonly string[] Moments =
    [
        "2000-01-01 00:00:00", "1999-12-31 23:59:59.999999", "2024-02-29 12:34:56.789012", "1970-01-01 00:00:00", "0001-01-01 00:00:00",
        "4714-11-24 00:00:00 BC", "0044-03-15 12:00:00 BC", "294276-12-31 23:59:59.999999", "2023-03-26 02:30:00", "2023-10-29 02:30:00",
        "1900-01-01 00:00:00", "2001-02-16 20:38:40.12", "infinity", "-infinity", "2038-01-19 03:14:07", "1582-10-15 00:00:00", "9999-12-31 23:59:59",
        "2010-12-31 10:00:00", "2012-01-01 10:00:00", "12345-06-07 08:09:10",
    ];

    public static readonly Dictionary<uint, string[]> ByType = Build();

    private static Dictionary<uint, string[]> Build()
    {
        var random = new Random(20261120);
        string Number(int digits, int scale)
        {
            string s = string.Concat(Enumerable.Range(0, digits).Select(_ => (char)('0' + random.Next(10))));
            s = scale > 0 ? s.PadLeft(scale + 1, '0').Insert(Math.Max(digits, scale + 1) - scale, ".") : s;
            return (random.Next(3) == 0 ? "-" : "") + s;
        }

        string[] RandomIntegers(int bits) =>
            [.. Enumerable.Range(0, 8).Select(_ => (random.NextInt64() >> (64 - random.Next(2, bits + 1))).ToString(CultureInfo.InvariantCulture))];
        string[] numerics =
        [
            "0", "1", "-1", "0.00", "1.5", "-2.5", "2.50", "3.14159265358979323846", "100", "10000", "99999999", "0.0001", "0.00001", "-0.5", "0.5", "1e10",
            "123456789012345678901234567890", "1.000000000000000000000000000001", "NaN", "Infinity", "-Infinity", "1234.5678", "999.999", "1e-20", "2",
            "7", "12345678901234567890.123456789", .. Enumerable.Range(0, 24).Select(_ => Number(random.Next(1, 40), random.Next(0, 20))),
        ];
        string[] doubles =
        [
            "0", "-0", "1", "-1", "0.1", "1e15", "1e16", "123456789012345", "1e-5", "0.0001", "1e300", "1e-300", "1.7976931348623157e308", "5e-324",
            "NaN", "Infinity", "-Infinity", "3.5", "2.5", "-2.5", "1e23", "0.3", "123456.789", "9007199254740993", "1e22", "4.35", "2147483647.5",
            .. Enumerable.Range(0, 24).Select(_ => (random.NextDouble() * Math.Pow(10, random.Next(-20, 21))).ToString("R", CultureInfo.InvariantCulture)),
        ];
        string[] singles =
        [
            "0", "-0", "1", "-1", "0.1", "1e6", "123456", "1234567", "1e-5", "3.4028235e38", "1e-38", "NaN", "Infinity", "-Infinity", "3.5", "2.5", "16777217",
            .. Enumerable.Range(0, 16).Select(_ => ((float)(random.NextDouble() * Math.Pow(10, random.Next(-10, 11)))).ToString("R", CultureInfo.InvariantCulture)),
        ];
        string[] intervals =
        [
            "0", "1 day", "1 month", "-1 month +1 day", "1 year 2 months 3 days 04:05:06.789", "-00:00:01", "30 days", "24 hours", "100 years", "25:00:00",
            "-1 year -2 months", "1 mon -1 day", "00:00:00.000001", "999999 hours", "1.5 days", "2 weeks", "-45 days 12:00:00", "36 hours",
        ];
        return new Dictionary<uint, string[]>
        {
            [16] = ["t", "f"],
            [17] = ["\\x", "\\x00", "\\xdeadbeef", "\\x616263", "\\x00ff10", "abc"],
            [18] = ["a", "Z", "", "\\377", "é"],
            [19] = ["", "abc", "Abc", "pg_class", "a name with spaces", "ünï"],
            [20] = ["0", "1", "-1", "9223372036854775807", "-9223372036854775808", "10", "7", "4294967296", "1000000", .. RandomIntegers(63)],
            [21] = ["0", "1", "-1", "32767", "-32768", "10", "7", "255", .. RandomIntegers(15)],
            [23] = ["0", "1", "-1", "2147483647", "-2147483648", "10", "7", "3", "100", "65", "-5", .. RandomIntegers(31)],
            [25] = Texts,
            [26] = ["0", "1", "4294967295", "2147483648", "16384"],
            [28] = ["0", "3", "4294967295"],
            [700] = singles,
            [701] = doubles,
            [1042] = ["", "a", "a   ", "abc", "ABC ", "é  "],
            [1043] = Texts,
            [1082] = ["2000-01-01", "1999-12-31", "2024-02-29", "0044-03-15 BC", "5874897-12-31", "4714-11-24 BC", "infinity", "-infinity", "1970-01-01", "2001-02-16", "2010-12-31"],
            [1083] = ["00:00:00", "23:59:59.999999", "12:34:56", "24:00:00", "08:00:00.5", "01:02:03.456"],
            [1114] = Moments,
            [1184] = Moments,
            [1186] = intervals,
            [1266] = ["00:00:00+00", "23:59:59.999999-05", "12:34:56+05:30", "24:00:00-08", "04:05:06.789+01"],
            [1700] = numerics,
            [2950] = ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
            [3220] = ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF", "0/1"],
            [5069] = ["0", "3", "18446744073709551615"],
            [1009] = ["{}", "{a,b,NULL,\"c d\"}", "{{a,b},{c,d}}", "[2:3]={x,y}"],
            [1007] = ["{}", "{1,2,3}", "{NULL,1}", "{{1,2},{3,4}}", "[0:1]={5,6}"],
        };
    }

    /// <summary>What some functions take where any text would only be refused.</summary>
    public static string[]? ForArgument(string source, int argument)
    {
        string[] units =
        [
            "microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century", "millennium",
            "julian", "dow", "isodow", "doy", "isoyear", "epoch", "timezone", "timezone_hour", "timezone_minute", "nonsense", "YEAR",
        ];
        string[] zones = ["UTC", "Europe/Berlin", "america/new_york", "EST", "PDT", "Asia/Kolkata", "MSK", "No/Where", "EST5EDT", "<+03>-3"];
        string[] patterns =
        [
            "a", "^a", "[a-z]+", "b$", "(a)(b)?", "[[:alpha:]]+", "\\d+", "x*", "a|b", "\\mfox\\M", "[^a-z]", "(o)", ".", "l{2}", "(?:quick|brown)", "\\y",
        ];
        string[] likes = ["%", "_", "a%", "%b%", "%o_l%", "abc", "100\\%", "%_%", "___", "A%", "%é%", "", "under\\_score", "%x%z"];
        return (source, argument) switch
        {
            (_, 0) when source.StartsWith("extract_", StringComparison.Ordinal) || source.EndsWith("_part", StringComparison.Ordinal)
                || source is "timestamp_trunc" or "timestamptz_trunc" or "timestamptz_trunc_zone" or "interval_trunc" => units,
            ("timestamp_zone" or "timestamptz_zone" or "timetz_zone", 0) => zones,
            ("timestamptz_trunc_zone", 2) or ("make_timestamptz_at_timezone", 6) => zones,
            (_, 1) when source.Contains("regex", StringComparison.Ordinal) => patterns,
            ("regexp_like" or "regexp_match" or "regexp_split_to_array", 2) => ["", "i", "n", "x"],
            ("textregexreplace", 3) => ["", "g", "i", "gi"],
            (_, 2) when source.StartsWith("textregexreplace", StringComparison.Ordinal) => ["", "X", "<\\1>", "[\\&]"],
            (_, 1) when source.EndsWith("like", StringComparison.Ordinal) => likes,
            ("binary_encode", 1) => ["hex", "base64", "escape", "Hex", "rot13"],
            ("binary_decode", 0) => ["", "616263", "YWJj", "a\\\\b", "zz", "abc", "6 1"],
            ("binary_decode", 1) => ["hex", "base64", "escape", "nope"],
            ("text_substr" or "bytea_substr", 1 or 2) or ("text_substr_no_len" or "bytea_substr_no_len", 1) => ["0", "1", "2", "-1", "3", "5", "100", "2147483647"],
            ("text_left" or "text_right" or "split_part", _) when argument > 0 && !(source == "split_part" && argument == 1) => ["0", "1", "2", "-1", "-2", "3", "10"],
            ("split_part", 1) => [",", ".", "", "xyz", " "],
            ("lpad" or "rpad" or "repeat", 1) => ["0", "1", "5", "-1", "12", "20"],
            ("chr", 0) => ["65", "233", "26085", "128512", "0", "-5", "55296", "1114112"],
            ("int4shl" or "int4shr" or "int2shl" or "int2shr" or "int8shl" or "int8shr", 1) => ["0", "1", "3", "7"],
            ("numeric_round" or "numeric_trunc", 1) => ["0", "1", "2", "-1", "-3", "5", "20", "-40"],
            ("numeric_power", 1) => ["0", "1", "-1", "2", "3", "0.5", "-2", "1.5", "10", "NaN", "Infinity"],
            ("numeric_fac", 0) => ["0", "1", "5", "20", "30", "-1"],
            ("numeric_exp", 0) => ["0", "1", "-1", "0.5", "10", "-10.25", "100", "NaN", "Infinity", "-Infinity"],
            ("make_date", 0) => ["2000", "1999", "2024", "0", "-44", "5874897"],
            ("make_date", 1) => ["1", "2", "12", "13"],
            ("make_date", 2) => ["1", "28", "29", "30", "31"],
            ("timestamptz_age" or "age", _) => [.. Moments.Where(m => !m.Contains("inf", StringComparison.Ordinal))],
            ("interval_scale", 1) => ["2147418112", "2147418115", "2147483647", "335544319", "469827583"],
            ("make_interval", 6) => ["0", "1.5", "-2.25", "59.999999", "100000"],
            ("make_interval", _) => ["0", "1", "-1", "10", "100", "-5", "3"],
            ("timestamp_scale" or "timestamptz_scale" or "time_scale" or "timetz_scale", 1) => ["0", "1", "3", "6"],
            ("bpchar" or "varchar", 1) => ["5", "6", "8", "-1", "14"],
            ("numeric", 1) => ["-1", "131076", "131074", "655366", "262148", "327688"],
            ("nameconcatoid", 0) => ["abc", "pg_class"],
            ("textoverlay" or "textoverlay_no_len", 2 or 3) => ["1", "2", "3", "0", "10"],
            ("array_length" or "array_lower" or "array_upper", 1) => ["0", "1", "2"],
            ("pg_size_bytes", 0) => ["1", "1kB", "1.5 MB", "2 gb", "-1TB", "x", "1 XB", "10240"],
            _ => null,
        };
    }
}
