import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import org.duckdb.DuckDBConnection;

/**
 * A host without Python, for tests. A line of stdin is a statement, run on the connection; its answer is a line of JSON on
 * stdout: {"rows": [[...], ...]} or {"error": "..."}. Other lines:
 *
 * <pre>
 *   !begin SQL   runs it on another connection of the same database, in a thread: {"rows": []} at once
 *   !end         waits for it: its answer
 *   !cancel      cancels it: {"rows": []}
 * </pre>
 */
public class Host {
    private static Thread thread;
    private static Statement running;
    private static String answer;

    public static void main(String[] args) throws Exception {
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var url = "jdbc:duckdb:" + (args.length > 0 ? args[0] : "");
        try (var connection = DriverManager.getConnection(url)) {
            for (String line; (line = in.readLine()) != null; ) {
                out.println(answer(connection, line));
            }
        }
    }

    private static String answer(Connection connection, String line) throws Exception {
        if (line.startsWith("!begin ")) {
            return begin(connection, line.substring("!begin ".length()));
        }
        if (line.equals("!end")) {
            thread.join();
            return answer;
        }
        if (line.equals("!cancel")) {
            running.cancel();
            return rows("");
        }
        try (var statement = connection.createStatement()) {
            return run(statement, line);
        }
    }

    private static String begin(Connection connection, String sql) throws SQLException {
        var other = connection.unwrap(DuckDBConnection.class).duplicate();
        running = other.createStatement();
        thread = new Thread(() -> {
            try (other) {
                answer = run(running, sql);
            } catch (SQLException e) {
                answer = error(e);
            }
        });
        thread.start();
        return rows("");
    }

    private static String run(Statement statement, String sql) {
        try {
            var text = new StringBuilder();
            if (!statement.execute(sql)) {
                return rows("");
            }
            try (var result = statement.getResultSet()) {
                int columns = result.getMetaData().getColumnCount();
                while (result.next()) {
                    text.append(text.length() > 0 ? ", [" : "[");
                    for (int i = 1; i <= columns; i++) {
                        text.append(i > 1 ? ", " : "").append(json(result.getObject(i)));
                    }
                    text.append("]");
                }
            }
            return rows(text.toString());
        } catch (SQLException e) {
            return error(e);
        }
    }

    private static String rows(String text) {
        return "{\"rows\": [" + text + "]}";
    }

    private static String error(SQLException e) {
        return "{\"error\": " + json(String.valueOf(e.getMessage())) + "}";
    }

    private static String json(Object value) {
        if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long) {
            return String.valueOf(value);
        }
        if (value instanceof Double d && Double.isFinite(d)) {
            return d.toString();
        }
        var text = new StringBuilder("\"");
        for (char c : value.toString().toCharArray()) {
            boolean plain = c >= ' ' && c != '"' && c != '\\' && c < 0x7f;
            text.append(plain ? String.valueOf(c) : String.format("\\u%04x", (int) c));
        }
        return text.append('"').toString();
    }
}
