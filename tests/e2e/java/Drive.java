import java.sql.*;
import java.util.*;

/** What a Java program, and a tool like DBeaver, asks a database by pgjdbc. */
public class Drive {
    static int rows(ResultSet r) throws SQLException {
        int n = 0;
        while (r.next()) n++;
        r.close();
        return n;
    }

    public static void main(String[] words) throws Exception {
        Properties given = new Properties();
        given.setProperty("user", words[1]);
        given.setProperty("password", words[2]);
        given.setProperty("sslmode", "disable");
        given.setProperty("ApplicationName", "a tool");
        try (Connection c = DriverManager.getConnection(words[0], given)) {
            DatabaseMetaData m = c.getMetaData();
            System.out.println("tables " + rows(m.getTables(null, null, "%", new String[] {"TABLE", "VIEW"})));
            System.out.println("schemas " + rows(m.getSchemas()));
            System.out.println("catalogs " + rows(m.getCatalogs()));
            System.out.println("columns " + rows(m.getColumns(null, "public", "people", "%")));
            System.out.println("keys " + rows(m.getPrimaryKeys(null, "sales", "orders")));
            System.out.println("imported " + rows(m.getImportedKeys(null, "sales", "orders")));
            System.out.println("exported " + rows(m.getExportedKeys(null, "public", "people")));
            System.out.println("indexes " + rows(m.getIndexInfo(null, "sales", "orders", false, true)));
            System.out.println("functions " + rows(m.getFunctions(null, "public", "%")));
            System.out.println("procedures " + rows(m.getProcedures(null, "public", "%")));
            System.out.println("fcolumns " + rows(m.getFunctionColumns(null, "public", "greet", "%")));
            System.out.println("types " + rows(m.getTypeInfo()));
            System.out.println("udts " + rows(m.getUDTs(null, "public", "%", null)));
            System.out.println("privileges " + rows(m.getTablePrivileges(null, "public", "people")));
            System.out.println("cprivileges " + rows(m.getColumnPrivileges(null, "public", "people", "%")));
            System.out.println("kinds " + rows(m.getTableTypes()));
            System.out.println("clients " + rows(m.getClientInfoProperties()));
            System.out.println("best " + rows(m.getBestRowIdentifier(null, "public", "people", 1, true)));
            System.out.println("words " + (m.getSQLKeywords().length() > 10));
            System.out.println("version " + m.getDatabaseMajorVersion());
            c.setReadOnly(true);
            c.setAutoCommit(false);
            try (PreparedStatement s = c.prepareStatement("SELECT name, secret, tags FROM people WHERE id = ?")) {
                for (int n = 0; n < 8; n++) {      // named and binary from the fifth time on
                    s.setInt(1, 1);
                    ResultSet r = s.executeQuery();
                    r.next();
                    if (n == 7) System.out.println("row " + r.getString(1) + " " + r.getString(2)
                        + " " + Arrays.toString((Object[]) r.getArray(3).getArray()));
                }
            }
            try (Statement s = c.createStatement()) {
                s.setFetchSize(7);
                System.out.println("fetched " + rows(s.executeQuery("SELECT id, total, at FROM sales.orders")));
            }
            c.commit();
            System.out.println("isolation " + c.getTransactionIsolation() + " schema " + c.getSchema());
            System.out.println("valid " + c.isValid(5));
        }
    }
}
