using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Types;

/// <summary>
/// The order of text and its letters' case under a locale of the C library. C and POSIX go by bytes; all others through the library's strcoll_l,
/// with the bytes deciding among equals, so that indexes agree with PostgreSQL's.
/// </summary>
public sealed partial class Collation
{
    private const int CollateMask = 1 << 3;
    private const int CTypeMask = 1 << 0;
    private const int CodeSet = 14;
    private static readonly ConcurrentDictionary<(string, string), Collation> Cache = new();
    private readonly nint _locale;

    private Collation(string collate, string ctype)
    {
        Collate = collate;
        CType = ctype;
        IsC = collate is "C" or "POSIX";
        CTypeIsC = ctype is "C" or "POSIX";
        if (!IsC || !CTypeIsC)
        {
            nint first = NewLocale(CollateMask, collate, 0);
            _locale = first == 0 ? 0 : NewLocale(CTypeMask, ctype, first);
            if (_locale == 0)
            {
                throw new PgException(SqlStates.UndefinedObject, $"could not create locale \"{collate}\"");
            }
        }
    }

    public static Collation C { get; } = new("C", "C");

    public string Collate { get; }
    public string CType { get; }

    /// <summary>Ordered by bytes.</summary>
    public bool IsC { get; }

    /// <summary>Only ASCII letters have case.</summary>
    public bool CTypeIsC { get; }

    /// <summary>The collation with these names of the C library (pg_collation.collcollate, collctype; pg_database.datcollate, datctype).</summary>
    /// <exception cref="PgException">42704: the library has no such locale.</exception>
    public static Collation Get(string collate, string ctype) =>
        collate is "C" or "POSIX" && ctype is "C" or "POSIX" ? C : Cache.GetOrAdd((collate, ctype), static k => new Collation(k.Item1, k.Item2));

    /// <summary>The character set that a locale's letters come in ("UTF-8"; "ANSI_X3.4-1968" for C); null when the library has no such locale.</summary>
    public static string? CodeSetOf(string name)
    {
        nint locale = name.Length == 0 ? 0 : NewLocale(CollateMask | CTypeMask, name, 0);
        if (locale == 0)
        {
            return null;
        }

        string? set = Marshal.PtrToStringUTF8(LangInfo(CodeSet, locale));
        FreeLocale(locale);
        return set;
    }

    /// <summary>What the library says of the version of a locale's order, as PostgreSQL records it; null for orders that never change (get_collation_actual_version).</summary>
    public static string? VersionOf(string collate) =>
        collate is "C" or "POSIX" || collate.StartsWith("C.", StringComparison.OrdinalIgnoreCase) ? null : Marshal.PtrToStringUTF8(LibraryVersion());

    public int Compare(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b) => IsC ? a.SequenceCompareTo(b) : CompareByLibrary(a, b);

    public char ToUpper(char c) => CTypeIsC ? (char.IsAsciiLetterLower(c) ? (char)(c - 32) : c) : char.ToUpperInvariant(c);
    public char ToLower(char c) => CTypeIsC ? (char.IsAsciiLetterUpper(c) ? (char)(c + 32) : c) : char.ToLowerInvariant(c);
    public bool IsAlphanumeric(char c) => CTypeIsC ? char.IsAsciiLetterOrDigit(c) : char.IsLetterOrDigit(c);

    [SkipLocalsInit]
    private int CompareByLibrary(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        if (a.SequenceEqual(b))
        {
            return 0;
        }

        // The library wants zero-terminated strings.
        const int small = 512;
        Span<byte> ba = a.Length < small ? stackalloc byte[small] : new byte[a.Length + 1];
        Span<byte> bb = b.Length < small ? stackalloc byte[small] : new byte[b.Length + 1];
        a.CopyTo(ba);
        ba[a.Length] = 0;
        b.CopyTo(bb);
        bb[b.Length] = 0;
        int result;
        unsafe
        {
            fixed (byte* pa = ba, pb = bb)
            {
                result = StrColl(pa, pb, _locale);
            }
        }

        return result != 0 ? result : a.SequenceCompareTo(b);
    }

    [LibraryImport("libc", EntryPoint = "newlocale", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint NewLocale(int mask, string name, nint from);

    [LibraryImport("libc", EntryPoint = "freelocale")]
    private static partial void FreeLocale(nint locale);

    [LibraryImport("libc", EntryPoint = "nl_langinfo_l")]
    private static partial nint LangInfo(int item, nint locale);

    [LibraryImport("libc", EntryPoint = "gnu_get_libc_version")]
    private static partial nint LibraryVersion();

    [LibraryImport("libc", EntryPoint = "strcoll_l")]
    private static unsafe partial int StrColl(byte* a, byte* b, nint locale);
}
