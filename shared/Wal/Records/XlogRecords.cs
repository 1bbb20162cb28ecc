namespace SharedStorage.Wal.Records;

/// <summary>What the resource manager "XLOG" logs (pg_control.h).</summary>
public static class XlogOp
{
    public const byte CheckpointShutdown = 0x00;
    public const byte CheckpointOnline = 0x10;
    public const byte Noop = 0x20;
    public const byte NextOid = 0x30;
    public const byte Switch = 0x40;
    public const byte BackupEnd = 0x50;
    public const byte ParameterChange = 0x60;
    public const byte RestorePoint = 0x70;
    public const byte FullPageWrites = 0x80;
    public const byte EndOfRecovery = 0x90;
    public const byte ImageForHint = 0xA0;
    public const byte Image = 0xB0;
    public const byte OverwriteContinuation = 0xD0;
}
