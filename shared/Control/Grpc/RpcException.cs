namespace SharedStorage.Control.Grpc;

/// <summary>gRPC's status codes by their numbers on the wire.</summary>
public enum RpcStatus
{
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// <summary>A call's failure with its status: thrown by handlers, carried in the trailers, thrown again at the caller.</summary>
public sealed class RpcException(RpcStatus status, string message) : Exception(message)
{
    public RpcStatus Status { get; } = status;
}
