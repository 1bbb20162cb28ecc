using System.Globalization;
using System.Text;
using SharedStorage.Primitives;

namespace SharedStorage.Hosting.Cluster;

/// <summary>
/// The form of the files in <c>cluster/</c>: lines "name value", then "crc" and the CRC-32C of what stands before it. A file whose check fails is as good as
/// half written; it is never believed.
/// </summary>
public sealed class ClusterRecord
{
    private readonly List<KeyValuePair<string, string>> _fields = [];

    public ClusterRecord Add(string name, string value)
    {
        _fields.Add(new(name, value));
        return this;
    }

    public ClusterRecord Add(string name, ulong value) => Add(name, value.ToString(CultureInfo.InvariantCulture));
    public ClusterRecord Add(string name, Lsn value) => Add(name, value.ToString());

    public IEnumerable<string> All(string name) => _fields.Where(f => f.Key == name).Select(f => f.Value);

    public string this[string name] => All(name).FirstOrDefault() ?? throw new StorageException($"a cluster file lacks the field \"{name}\"");

    public ulong Number(string name) => ulong.TryParse(this[name], NumberStyles.None, CultureInfo.InvariantCulture, out ulong n)
        ? n
        : throw new StorageException($"a cluster file has no number in the field \"{name}\"");

    public Lsn Lsn(string name) => Primitives.Lsn.TryParse(this[name], out Lsn lsn)
        ? lsn
        : throw new StorageException($"a cluster file has no LSN in the field \"{name}\"");

    public byte[] ToBytes()
    {
        var text = new StringBuilder();
        foreach ((string name, string value) in _fields)
        {
            text.Append(name).Append(' ').Append(value).Append('\n');
        }

        // Computed before: an interpolated append writes its first part into the builder before it evaluates the second.
        uint crc = Crc32C.Compute(Encoding.UTF8.GetBytes(text.ToString()));
        text.Append(CultureInfo.InvariantCulture, $"crc {crc:X8}\n");
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    /// <summary>Null: the bytes are not a whole record.</summary>
    public static ClusterRecord? TryParse(ReadOnlySpan<byte> bytes)
    {
        string text = Encoding.UTF8.GetString(bytes.TrimEnd((byte)0));
        int at = text.LastIndexOf("crc ", StringComparison.Ordinal);
        if (at < 0 || !uint.TryParse(text.AsSpan(at + 4).TrimEnd(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out uint crc)
            || crc != Crc32C.Compute(Encoding.UTF8.GetBytes(text[..at])))
        {
            return null;
        }

        var record = new ClusterRecord();
        foreach (string line in text[..at].Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int space = line.IndexOf(' ', StringComparison.Ordinal);
            record.Add(line[..space], line[(space + 1)..]);
        }

        return record;
    }
}
