import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;

/** What JDBC applications do, one line of output per case: its name, then what came of it. */
public class Jdbc
{
    interface Case
    {
        String run(Connection connection)
                throws Exception;
    }

    static String url;
    static Properties properties = new Properties();

    public static void main(String[] arguments)
            throws Exception
    {
        url = arguments[0];
        for (int i = 1; i < arguments.length; i++) {
            String[] pair = arguments[i].split("=", 2);
            properties.setProperty(pair[0], pair[1]);
        }
        String only = properties.remove("only") instanceof String wanted ? wanted : null;
        show(only, "query", connection -> first(connection, "SELECT name FROM nation WHERE nationkey = 3"));
        show(only, "large", connection -> {
            long rows = 0;
            try (Statement statement = connection.createStatement();
                    ResultSet found = statement.executeQuery("SELECT orderkey, comment FROM lineitem")) {
                while (found.next()) {
                    rows++;
                }
            }
            return Long.toString(rows);
        });
        show(only, "prepared", connection -> {
            try (PreparedStatement statement = connection.prepareStatement("SELECT name FROM nation WHERE nationkey = ? AND name LIKE ?")) {
                statement.setLong(1, 3);
                statement.setString(2, "CAN%");
                try (ResultSet found = statement.executeQuery()) {
                    found.next();
                    return found.getString(1);
                }
            }
        });
        // The driver takes response heads of up to 256 KiB; each of these characters is three on the wire.
        show(only, "header", connection -> {
            String text = "=".repeat(60_000);
            try (PreparedStatement statement = connection.prepareStatement("SELECT ?, '" + text + "'")) {
                statement.setLong(1, 7);
                try (ResultSet found = statement.executeQuery()) {
                    found.next();
                    return found.getLong(1) + " " + found.getString(2).length();
                }
            }
        });
        show(only, "error", connection -> first(connection, "SELECT * FROM nowhere"));
        show(only, "transaction", connection -> {
            connection.setAutoCommit(false);
            String found = first(connection, "SELECT count(*) FROM nation") + " " + first(connection, "SELECT count(*) FROM region");
            connection.commit();
            return found;
        });
        show(only, "metadata", connection -> {
            try (ResultSet found = connection.getMetaData().getTables("tpch", "tiny", "nation", null)) {
                found.next();
                return found.getString("TABLE_NAME");
            }
        });
        show(only, "user", connection -> first(connection, "SELECT current_user"));
        if ("cancel".equals(only)) {
            show(only, "cancel", Jdbc::cancelled);
        }
    }

    static String cancelled(Connection connection)
            throws Exception
    {
        CountDownLatch started = new CountDownLatch(1);
        try (Statement statement = connection.createStatement()) {
            statement.unwrap(io.trino.jdbc.TrinoStatement.class).setProgressMonitor(stats -> {
                if (stats.getState().equals("RUNNING")) {
                    started.countDown();
                }
            });
            Thread canceller = new Thread(() -> {
                try {
                    started.await();
                    statement.cancel();
                }
                catch (InterruptedException | SQLException e) {
                    throw new RuntimeException(e);
                }
            });
            canceller.start();
            try (ResultSet found = statement.executeQuery("SELECT sandbox_sleep(60)")) {
                found.next();
                return "it ran to its end";
            }
        }
    }

    static String first(Connection connection, String sql)
            throws SQLException
    {
        try (Statement statement = connection.createStatement();
                ResultSet found = statement.executeQuery(sql)) {
            found.next();
            return found.getString(1);
        }
    }

    static void show(String only, String name, Case what)
            throws Exception
    {
        if (only != null && !only.equals(name)) {
            return;
        }
        String came;
        try (Connection connection = DriverManager.getConnection(url, properties)) {
            came = what.run(connection);
        }
        catch (SQLException e) {
            came = "SQLException " + e.getErrorCode() + " " + e.getMessage();
        }
        System.out.println(name + ": " + came.replace('\n', ' '));
    }
}
