using System.Globalization;
using System.Text;
using SharedStorage.Io;

namespace SharedStorage.Writer.Fencing;

/// <summary>
/// <c>postmaster.pid</c> in PostgreSQL's format (miscinit.c, pidfile.h), so that a stock postmaster on this host refuses to start on the directory and pg_ctl knows us.
/// </summary>
public sealed class PostmasterPid(string dataDirectory, int port)
{
    private readonly string _path = Path.Combine(dataDirectory, "postmaster.pid");
    private readonly long _started = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

    /// <param name="status">"starting", "ready", "stopping": padded to PostgreSQL's eight characters.</param>
    public void Write(string status)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Environment.ProcessId}\n{dataDirectory}\n{_started}\n{port}\n\nlocalhost\n{0,9} {0,9}\n{status,-8}\n");
        DurableFile.Write(_path, Encoding.UTF8.GetBytes(text.ToString()));
    }

    public void Remove() => DurableFile.Remove(_path);
}
