import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayDeque;
import org.duckdb.DuckDBConnection;

/**
 * A host without Python, for tests. A line of stdin is a statement, run on the connection; its answer is a line of JSON on
 * stdout: {"rows": [[...], ...]} or {"error": "..."}. Other lines:
 *
 * <pre>
 *   !begin SQL   runs it on another connection of the same database, in a thread: {"rows": []} at once
 *   !end         waits for the first that was begun: its answer
 *   !cancel      cancels the last that was begun: {"rows": []}
 * </pre>
 */
public class Host {
    /** A statement in a thread of its own, and what came of it. */
    private static class Begun {
        Thread thread;
        Statement statement;
        String answer;
    }

    private static final ArrayDeque<Begun> ALL_BEGUN = new ArrayDeque<>();

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
            var first = ALL_BEGUN.removeFirst();
            first.thread.join();
            return first.answer;
        }
        if (line.equals("!cancel")) {
            ALL_BEGUN.getLast().statement.cancel();
            return rows("");
        }
        try (var statement = connection.createStatement()) {
            return run(statement, line);
        }
    }

    private static String begin(Connection connection, String sql) throws SQLException {
        var other = connection.unwrap(DuckDBConnection.class).duplicate();
        var begun = new Begun();
        begun.statement = other.createStatement();
        begun.thread = new Thread(() -> {
            try (other) {
                begun.answer = run(begun.statement, sql);
            } catch (SQLException e) {
                begun.answer = error(e);
            }
        });
        ALL_BEGUN.addLast(begun);
        begun.thread.start();
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
