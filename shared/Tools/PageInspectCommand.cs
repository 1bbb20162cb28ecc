using System.CommandLine;
using System.Globalization;
using System.Text;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Tools;

/// <summary>
/// <c>pageinspect</c>: a block of a relation's file as rows, with the names, columns and values of PostgreSQL's extension of that name (unaligned, as <c>psql -A</c> prints them). It reads the file
/// and nothing else, so it needs no server and takes pages that <c>walcheck</c> wrote out.
/// </summary>
internal static class PageInspectCommand
{
    private static readonly Argument<string> PathArgument = new("FILE") { Description = "a segment of a relation's fork, or a page that walcheck wrote" };
    private static readonly Option<uint> First = new("--block", "-b") { Description = "block in the file (default 0)" };
    private static readonly Option<uint> Count = new("--count", "-n") { Description = "blocks to show", DefaultValueFactory = _ => 1 };
    private static readonly Option<string?> Type = new("--type", "-t") { Description = "heap, btree or other (default: what the page looks like)" };
    private static readonly Option<string?> Only = new("--only", "-o") { Description = "only this part: page_header, heap_page_items, bt_metap, bt_page_stats, bt_page_items, line_pointers, special" };

    public static Command Create()
    {
        var command = new Command("pageinspect", "Shows a block of a relation's file: page header, line pointers, rows, entries (as PostgreSQL's extension pageinspect)")
        {
            PathArgument, First, Count, Type, Only,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult parsed)
    {
        try
        {
            string path = parsed.GetValue(PathArgument)!;
            string? type = parsed.GetValue(Type);
            if (type is not (null or "heap" or "btree" or "other"))
            {
                throw new ToolException($"unknown page type \"{type}\"");
            }

            using FileStream file = Open(path);
            uint first = parsed.GetValue(First);
            byte[] bytes = new byte[Page.Size];
            for (uint block = first; block < first + parsed.GetValue(Count); block++)
            {
                file.Position = (long)block * Page.Size;
                int read = file.ReadAtLeast(bytes, Page.Size, throwOnEndOfStream: false);
                if (read < Page.Size)
                {
                    throw new ToolException(string.Create(CultureInfo.InvariantCulture, $"block {block} of \"{path}\" is not there: {read} of {Page.Size} bytes"));
                }

                var text = new StringBuilder();
                Show(new Page(bytes), block, type, parsed.GetValue(Only), text);
                Console.Out.Write(text);
            }

            return 0;
        }
        catch (Exception e) when (e is ToolException or StorageException)
        {
            Console.Error.WriteLine($"pageinspect: error: {e.Message}");
            return 1;
        }
    }

    private static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"could not open file \"{path}\": {e.Message}");
        }
    }

    private static void Show(Page page, uint block, string? type, string? only, StringBuilder into)
    {
        type ??= TypeOf(page);
        var table = new RowWriter(into, only);
        table.Title(string.Create(CultureInfo.InvariantCulture, $"block {block}: {(page.IsNew ? "new" : type)}"));
        PageRows.Header(page, table);
        if (page.IsNew)
        {
            return;
        }

        switch (type)
        {
            case "heap":
                PageRows.HeapItems(page, table);
                break;
            case "btree":
                BtreeRows.Show(page, block, table);
                break;
            default:
                PageRows.LinePointers(page, table);
                PageRows.Special(page, table);
                break;
        }
    }

    /// <summary>By the special space, as walcheck tells pages apart.</summary>
    private static string TypeOf(Page page) => (Page.Size - page.Header.Special) switch
    {
        0 => "heap",
        BtreeOpaque.Size when (ushort)(page.Bytes[^2] | (page.Bytes[^1] << 8)) < 0xFF80 => "btree",
        _ => "other",
    };
}

/// <summary>Rows under a heading, with | between columns; null is empty.</summary>
internal sealed class RowWriter(StringBuilder into, string? only)
{
    private bool _shown;

    public void Title(string text)
    {
        if (only is null)
        {
            into.Append(text).Append('\n');
        }
    }

    /// <summary>Begins a part. False: it is not asked for.</summary>
    public bool Begin(string name, string columns)
    {
        _shown = only is null || only == name;
        if (_shown)
        {
            into.Append(only is null ? $"{name}\n" : "").Append(columns).Append('\n');
        }

        return _shown;
    }

    public void Row(params object?[] values) =>
        into.AppendJoin('|', values.Select(v => v is bool b ? b ? "t" : "f" : Convert.ToString(v, CultureInfo.InvariantCulture))).Append('\n');
}
