// One session of the official JDBC driver, one line of output per step; run by test_jdbc_driver.py.
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

public class JdbcSession {
    static int rows(ResultSet result) throws SQLException {
        int count = 0;
        while (result.next()) {
            count++;
        }
        return count;
    }

    static void say(String step, Object value) {
        System.out.println(step + "=" + value);
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0], "alice", null)) {
            try (Statement statement = connection.createStatement()) {
                ResultSet join = statement.executeQuery(
                        "SELECT n.name, r.name FROM nation n JOIN region r ON n.regionkey = r.regionkey ORDER BY 1");
                join.next();
                say("join", join.getString(1) + "/" + join.getString(2) + "/" + join.getMetaData().getColumnTypeName(1));
                ResultSet values = statement.executeQuery(
                        "SELECT 1.50, DATE '2020-01-02', ARRAY[1, 2], MAP(ARRAY['a'], ARRAY[1]), nan(), INTERVAL '1' DAY, X'AA'");
                values.next();
                say("values", values.getBigDecimal(1) + "/" + values.getDate(2) + "/" + values.getArray(3) + "/"
                        + values.getObject(4) + "/" + values.getDouble(5) + "/" + values.getObject(6) + "/"
                        + values.getBytes(7).length);
                say("large", rows(statement.executeQuery("SELECT * FROM orders")));
                say("ctas", statement.executeUpdate("CREATE TABLE memory.default.j AS SELECT * FROM nation"));
                say("insert", statement.executeUpdate("INSERT INTO memory.default.j SELECT * FROM nation"));
                say("drop", statement.executeUpdate("DROP TABLE memory.default.j"));
            }
            try (PreparedStatement prepared = connection.prepareStatement("SELECT name FROM nation WHERE nationkey = ? OR name = ?")) {
                prepared.setLong(1, 3);
                prepared.setString(2, "PERU");
                say("prepared", rows(prepared.executeQuery()));
            }
            DatabaseMetaData metadata = connection.getMetaData();
            say("product", metadata.getDatabaseProductName());
            say("schemas", rows(metadata.getSchemas("tpch", "tiny")));
            say("tables", rows(metadata.getTables("tpch", "tiny", "%", null)));
            say("columns", rows(metadata.getColumns("tpch", "tiny", "nation", "%")));
            say("types", rows(metadata.getTypeInfo()) > 15);
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.executeUpdate("CREATE TABLE memory.default.k AS SELECT 1 x");
            }
            connection.rollback();
            connection.setAutoCommit(true);
            try (Statement statement = connection.createStatement()) {
                say("rolled back", rows(statement.executeQuery("SHOW TABLES FROM memory.default")));
                statement.executeQuery("SELECT nope FROM nation");
            } catch (SQLException error) {
                say("error", error.getErrorCode());
            }
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                statement.executeQuery("SELECT sandbox_sleep(60)").next();
                say("timeout", "none");
            } catch (SQLException error) {
                say("timeout", "stopped");
            }
        }
    }
}
