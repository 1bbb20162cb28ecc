using System.Globalization;
using System.Runtime.InteropServices;

namespace SharedStorage.Wal.Describe;

/// <summary>Times as PostgreSQL's tools print them: by the C library, in the time zone and locale of the environment, so that the text is the same.</summary>
public static unsafe partial class LocalClock
{
    /// <summary>Seconds from 1970 to 2000, where PostgreSQL's time stamps begin.</summary>
    private const long PostgresEpoch = 946684800;

    private const int LocaleTime = 2;
    private const int LargestTm = 64;

    /// <summary>"2026-01-31 12:00:00.000001 UTC", from microseconds since 2000 (timestamptz_to_str of PostgreSQL's tools).</summary>
    public static string TimestampToString(long microseconds)
    {
        long seconds = (microseconds / 1_000_000) + PostgresEpoch;
        string fraction = ((int)(microseconds % 1_000_000)).ToString("D6", CultureInfo.InvariantCulture);
        return $"{Format(seconds, "%Y-%m-%d %H:%M:%S")}.{fraction} {Format(seconds, "%Z")}";
    }

    /// <summary>Takes the locale for times from the environment (pg_controldata prints in it).</summary>
    public static void UseEnvironmentLocale()
    {
        ReadOnlySpan<byte> fromEnvironment = "\0"u8;
        fixed (byte* name = fromEnvironment)
        {
            setlocale(LocaleTime, name);
        }
    }

    /// <summary>A time in seconds since 1970 by a format of strftime; "???" when it has no date.</summary>
    public static string Format(long unixSeconds, string format)
    {
        byte* tm = stackalloc byte[LargestTm];
        byte* text = stackalloc byte[256];
        if (localtime_r(&unixSeconds, tm) == null)
        {
            return "???";
        }

        nint pattern = Marshal.StringToCoTaskMemUTF8(format);
        nuint length = strftime(text, 256, (byte*)pattern, tm);
        Marshal.FreeCoTaskMem(pattern);
        return Marshal.PtrToStringUTF8((nint)text, (int)length);
    }

    [LibraryImport("libc")]
    private static partial byte* localtime_r(long* time, byte* tm);

    [LibraryImport("libc")]
    private static partial nuint strftime(byte* text, nuint room, byte* format, byte* tm);

    [LibraryImport("libc")]
    private static partial byte* setlocale(int category, byte* name);
}
