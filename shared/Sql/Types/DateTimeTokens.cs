using System.Collections.Frozen;

namespace SharedStorage.Sql.Types;

internal enum TokenKind
{
    Unknown,
    Reserved,
    Month,
    DayOfWeek,
    Unit,
    AmPm,
    Era,
    Ignore,
    DaylightModifier,
    IsoTime,
    Zone,
    DaylightZone,
    DynamicZone,
    Ago,
}

/// <summary>Units of date_part, date_trunc and of labelled input.</summary>
internal enum DateUnit
{
    None,
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Julian,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    TimeZone,
    TimeZoneHour,
    TimeZoneMinute,
    Time,
    Epoch,
    Infinity,
    MinusInfinity,
    Now,
    Today,
    Tomorrow,
    Yesterday,
    AllBalls,
}

internal readonly record struct Token(TokenKind Kind, int Value, string? Zone = null);

/// <summary>The words that dates, times and intervals are written with, and PostgreSQL's default set of zone abbreviations.</summary>
internal static class DateTimeTokens
{
    // As PostgreSQL, only so many letters of a word count.
    private const int TokenLength = 10;

    private static readonly FrozenDictionary<string, Token> Dates = BuildDates().ToFrozenDictionary(StringComparer.Ordinal);
    private static readonly FrozenDictionary<string, Token> Units = BuildUnits().ToFrozenDictionary(StringComparer.Ordinal);
    private static readonly FrozenDictionary<string, Token> Zones = BuildZones().ToFrozenDictionary(StringComparer.Ordinal);

    public static Token Date(string lower) => Find(Dates, lower);
    public static Token Unit(string lower) => Find(Units, lower);
    public static Token Zone(string lower) => Find(Zones, lower);

    /// <summary>The field of date_part and its like: a unit, else a word of dates (epoch, dow ...).</summary>
    public static Token Field(string lower) => Unit(lower) is { Kind: not TokenKind.Unknown } t ? t : Date(lower);

    private static Token Find(FrozenDictionary<string, Token> table, string word) =>
        table.GetValueOrDefault(word.Length > TokenLength ? word[..TokenLength] : word);

    private static Dictionary<string, Token> BuildDates()
    {
        var t = new Dictionary<string, Token>(StringComparer.Ordinal);
        void Add(TokenKind kind, int value, string words)
        {
            foreach (string w in words.Split(' '))
            {
                t.Add(w, new Token(kind, value));
            }
        }

        string[] months =
        [
            "jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july", "aug august", "sep sept september",
            "oct october", "nov november", "dec december",
        ];
        for (int i = 0; i < 12; i++)
        {
            Add(TokenKind.Month, i + 1, months[i]);
        }

        string[] days = ["sun sunday", "mon monday", "tue tues tuesday", "wed wednesday weds", "thu thur thurs thursday", "fri friday", "sat saturday"];
        for (int i = 0; i < 7; i++)
        {
            Add(TokenKind.DayOfWeek, i, days[i]);
        }

        Add(TokenKind.Reserved, (int)DateUnit.MinusInfinity, "-infinity");
        Add(TokenKind.Reserved, (int)DateUnit.Infinity, "infinity");
        Add(TokenKind.Reserved, (int)DateUnit.AllBalls, "allballs");
        Add(TokenKind.Reserved, (int)DateUnit.Epoch, "epoch");
        Add(TokenKind.Reserved, (int)DateUnit.Now, "now");
        Add(TokenKind.Reserved, (int)DateUnit.Today, "today");
        Add(TokenKind.Reserved, (int)DateUnit.Tomorrow, "tomorrow");
        Add(TokenKind.Reserved, (int)DateUnit.Yesterday, "yesterday");
        Add(TokenKind.Era, 0, "ad");
        Add(TokenKind.Era, 1, "bc");
        Add(TokenKind.AmPm, 0, "am");
        Add(TokenKind.AmPm, 1, "pm");
        Add(TokenKind.Ignore, 0, "at on");
        Add(TokenKind.Unit, (int)DateUnit.Day, "d");
        Add(TokenKind.Unit, (int)DateUnit.DayOfWeek, "dow");
        Add(TokenKind.Unit, (int)DateUnit.DayOfYear, "doy");
        Add(TokenKind.DaylightModifier, 3600, "dst");
        Add(TokenKind.Unit, (int)DateUnit.Hour, "h");
        Add(TokenKind.Unit, (int)DateUnit.IsoDayOfWeek, "isodow");
        Add(TokenKind.Unit, (int)DateUnit.IsoYear, "isoyear");
        Add(TokenKind.Unit, (int)DateUnit.Julian, "j jd julian");
        Add(TokenKind.Unit, (int)DateUnit.Month, "m");
        Add(TokenKind.Unit, (int)DateUnit.Minute, "mm");
        Add(TokenKind.Unit, (int)DateUnit.Second, "s");
        Add(TokenKind.Unit, (int)DateUnit.Year, "y");
        Add(TokenKind.IsoTime, (int)DateUnit.Time, "t");
        return t;
    }

    private static Dictionary<string, Token> BuildUnits()
    {
        var t = new Dictionary<string, Token>(StringComparer.Ordinal) { ["@"] = new(TokenKind.Ignore, 0), ["ago"] = new(TokenKind.Ago, 0) };
        void Add(DateUnit unit, string words)
        {
            foreach (string w in words.Split(' '))
            {
                t.Add(w, new Token(TokenKind.Unit, (int)unit));
            }
        }

        Add(DateUnit.Century, "c cent centuries century");
        Add(DateUnit.Day, "d day days");
        Add(DateUnit.Decade, "dec decade decades decs");
        Add(DateUnit.Hour, "h hour hours hr hrs");
        Add(DateUnit.Minute, "m min mins minute minutes");
        Add(DateUnit.Microsecond, "microsecon us usec useconds usecs");
        Add(DateUnit.Millennium, "mil millennia millennium mils");
        Add(DateUnit.Millisecond, "millisecon ms msec mseconds msecs");
        Add(DateUnit.Month, "mon mons month months");
        Add(DateUnit.Quarter, "qtr quarter");
        Add(DateUnit.Second, "s sec second seconds secs");
        Add(DateUnit.TimeZone, "timezone");
        Add(DateUnit.TimeZoneHour, "timezone_h");
        Add(DateUnit.TimeZoneMinute, "timezone_m");
        Add(DateUnit.Week, "w week weeks");
        Add(DateUnit.Year, "y year years yr yrs");
        return t;
    }

    // Name and minutes east of UTC, with * for daylight saving time, or the zone whose rules say what the name means at a time.
    private static Dictionary<string, Token> BuildZones()
    {
        const string list = """
            eat 180;sast 120;wat 60;act -300;akdt -480*;akst -540;bot -240;bra -180;brst -120*;brt -180;cot -300;cdt -300*;clst -180*;cst -360;
            edt -240*;egst 0*;egt -60;est -300;fnt -120;fnst -60*;gft -180;mdt -360*;mst -420;ndt -150*;nft -210;nst -210;pet -300;pdt -420*;
            pmdt -120*;pmst -180;pst -480;pyst -180*;uyst -120*;uyt -180;wgst -120*;wgt -180;ddut 600;aft 270;almt 360;almst 420*;amt -240;bdt 360;
            bnt 480;bort 480;btt 360;cct 480;hkt 480;ict 420;idt 180*;irt 210;ist 120;jayt 540;jst 540;kdt 600*;kgst 360*;kst 540;mmt 390;myt 480;
            npt 345;pht 480;pkt 300;pkst 360*;tjt 300;ulast 540*;uzst 360*;uzt 300;xjt 360;yekst 360*;adt -180*;ast -240;azost 0*;azot -60;
            acsst 630*;acdt 630*;acst 570;acwst 525;aesst 660*;aedt 660*;aest 600;awsst 540*;awst 480;cadt 630*;cast 570;lhst 630;ligt 600;nzt 720;
            sadt 630*;wadt 480*;wast 420;wdt 540*;gmt 0;uct 0;ut 0;utc 0;z 0;zulu 0;bst 60*;bdst 120*;cest 120*;cet 60;cetdst 120*;eest 180*;eet 120;
            eetdst 180*;fet 180;mest 120*;mesz 120*;met 60;metdst 120*;mez 60;west 60*;wet 0;wetdst 60*;chadt 825*;chast 765;chut 600;ckt 720;
            gilt 720;hst -600;kost 660;mart -570;mht 720;nut -660;nzdt 780*;nzst 720;palau 540;pont 660;pwt 540;tvt 720;wakt 720;wft 720;
            iot 360;mut 240;must 300*;mvt 300;ret 240;sct 240;cxt 420;tft 300
            """;
        const string dynamic = """
            art America/Argentina/Buenos_Aires;arst America/Argentina/Buenos_Aires;clt America/Santiago;gyt America/Guyana;pyt America/Asuncion;
            vet America/Caracas;davt Antarctica/Davis;mawt Antarctica/Mawson;amst Asia/Yerevan;anast Asia/Anadyr;anat Asia/Anadyr;azst Asia/Baku;
            azt Asia/Baku;gest Asia/Tbilisi;get Asia/Tbilisi;irkst Asia/Irkutsk;irkt Asia/Irkutsk;kgt Asia/Bishkek;krast Asia/Krasnoyarsk;
            krat Asia/Krasnoyarsk;lkt Asia/Colombo;magst Asia/Magadan;magt Asia/Magadan;novst Asia/Novosibirsk;novt Asia/Novosibirsk;
            omsst Asia/Omsk;omst Asia/Omsk;petst Asia/Kamchatka;pett Asia/Kamchatka;sgt Asia/Singapore;tmt Asia/Ashgabat;ulat Asia/Ulaanbaatar;
            vlast Asia/Vladivostok;vlat Asia/Vladivostok;yakst Asia/Yakutsk;yakt Asia/Yakutsk;yekt Asia/Yekaterinburg;fkst Atlantic/Stanley;
            fkt Atlantic/Stanley;lhdt Australia/Lord_Howe;msd Europe/Moscow;msk Europe/Moscow;samt Europe/Samara;volt Europe/Volgograd
            """;
        var t = new Dictionary<string, Token>(StringComparer.Ordinal);
        foreach (string entry in list.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = entry.Split(' ');
            bool daylight = parts[1].EndsWith('*');
            int minutes = int.Parse(parts[1].TrimEnd('*'), System.Globalization.CultureInfo.InvariantCulture);
            t[parts[0]] = new Token(daylight ? TokenKind.DaylightZone : TokenKind.Zone, minutes * 60);
        }

        foreach (string entry in dynamic.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = entry.Split(' ');
            t[parts[0]] = new Token(TokenKind.DynamicZone, 0, parts[1]);
        }

        return t;
    }
}
