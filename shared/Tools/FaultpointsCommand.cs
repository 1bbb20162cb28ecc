using System.CommandLine;
using SharedStorage.Primitives;

namespace SharedStorage.Tools;

/// <summary>Lists the places where a node can be made to pause, fail or die (the setting sharedstorage.fault_points).</summary>
internal static class FaultpointsCommand
{
    public static Command Create()
    {
        var command = new Command("faultpoints", "List the points of sharedstorage.fault_points: name=kill, name=error, name=wait:/path; name=action@N acts the Nth time");
        command.SetAction(_ =>
        {
            foreach ((string name, string meaning) in FaultPoints.All)
            {
                Console.WriteLine($"{name,-30} {meaning}");
            }

            return 0;
        });
        return command;
    }
}
