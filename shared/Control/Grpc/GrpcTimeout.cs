using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace SharedStorage.Control.Grpc;

/// <summary>The header <c>grpc-timeout</c>: at most eight digits and a unit (H M S m u n).</summary>
internal static class GrpcTimeout
{
    public static bool TryParse([NotNullWhen(true)] string? text, out TimeSpan timeout)
    {
        timeout = default;
        if (text is null || text.Length is < 2 or > 9 || !long.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out long n))
        {
            return false;
        }

        timeout = text[^1] switch
        {
            'H' => TimeSpan.FromHours(n),
            'M' => TimeSpan.FromMinutes(n),
            'S' => TimeSpan.FromSeconds(n),
            'm' => TimeSpan.FromMilliseconds(n),
            'u' => TimeSpan.FromMicroseconds(n),
            'n' => TimeSpan.FromTicks(n / 100),
            _ => TimeSpan.MinValue,
        };

        // A timer takes at most about 49 days; longer is as good as none.
        return timeout >= TimeSpan.Zero && timeout < TimeSpan.FromDays(40);
    }

    public static string Format(TimeSpan timeout) =>
        string.Create(CultureInfo.InvariantCulture, $"{Math.Clamp((long)timeout.TotalMilliseconds, 1, 99_999_999)}m");
}
