using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>A privilege: grantee, grantor, rights (acl.c). 12 bytes; the upper 16 bits of the rights are grant options.</summary>
public sealed class AclItemType : PgType
{
    /// <summary>The letters of the rights, from bit 0 (ACL_ALL_RIGHTS_STR).</summary>
    private const string Letters = "arwdDxtXUCTcsA";

    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context) => throw PgException.NotSupported("input of type aclitem");

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        ReadOnlySpan<byte> bytes = value.Bytes;
        var grantee = new Oid(BinaryPrimitives.ReadUInt32LittleEndian(bytes));
        var grantor = new Oid(BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]));
        uint rights = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);
        var text = new StringBuilder();
        if (grantee.IsValid)
        {
            text.Append(RoleText(grantee, context));
        }

        text.Append('=');
        for (int i = 0; i < Letters.Length; i++)
        {
            if ((rights & (1u << i)) != 0)
            {
                text.Append(Letters[i]);
            }

            if ((rights & (1u << (i + 16))) != 0)
            {
                text.Append('*');
            }
        }

        text.Append('/').Append(RoleText(grantor, context));
        output.Write(Encoding.UTF8.GetBytes(text.ToString()));
    }

    public override bool AreEqual(Datum a, Datum b) => a.Bytes.AsSpan().SequenceEqual(b.Bytes);

    // A role that is gone is shown by its number; a name that is no plain word in quotes.
    private static string RoleText(Oid role, EvalContext context)
    {
        string? name = context.Catalogs.RoleName(role);
        return name is null ? role.ToString() : name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_') ? name : $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
