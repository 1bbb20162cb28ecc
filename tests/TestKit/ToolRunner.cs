using System.Diagnostics;

namespace SharedStorage.TestKit;

/// <summary>Runs the <c>sharedstorage</c> command as it was built with the tests.</summary>
public static class ToolRunner
{
    public static (int ExitCode, string Output, string Error) Run(params string[] arguments)
    {
        using Process process = Start(arguments);
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.GetAwaiter().GetResult());
    }

    /// <summary>The same, running: for commands that go on until they are told to stop.</summary>
    public static Process Start(params string[] arguments)
    {
        // A shell that starts the tests in the background has interrupts ignored, and children inherit that.
        string program = Path.Combine(AppContext.BaseDirectory, "sharedstorage.dll");
        var info = new ProcessStartInfo("env", ["--default-signal=INT", "dotnet", program, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        info.Environment["LC_ALL"] = "C.UTF-8";
        info.Environment["TZ"] = "UTC";
        return Process.Start(info)!;
    }
}
