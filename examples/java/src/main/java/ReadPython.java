import java.sql.DriverManager;
import java.sql.SQLException;

/** Reads a Python class as a table, from Java: DuckDB runs here, the class in worker processes of its environment. */
public class ReadPython {
    public static void main(String[] args) throws SQLException {
        if (args.length != 3) {
            System.err.println("usage: ReadPython <extension> <python> <source>");
            System.exit(2);
        }
        // Known to DuckDB at opening alone: it trusts its own signature on extensions, this one has none.
        try (var connection = DriverManager.getConnection("jdbc:duckdb:;allow_unsigned_extensions=true");
                var statement = connection.createStatement()) {
            statement.execute("LOAD '" + args[0] + "'");
            statement.execute("SET bascule_python = '" + args[1] + "'");
            var query = connection.prepareStatement("FROM python(?) LIMIT 10");
            query.setString(1, args[2]);
            try (var rows = query.executeQuery()) {
                int columns = rows.getMetaData().getColumnCount();
                while (rows.next()) {
                    var line = new StringBuilder();
                    for (int i = 1; i <= columns; i++) {
                        line.append(i > 1 ? "\t" : "").append(rows.getObject(i));
                    }
                    System.out.println(line);
                }
            }
        }
    }
}
