// Tables by their names, and the columns of each: what a database says of itself is a table too.

package sqlite

import "strings"

const (
	schemaRoot  = 1
	mostTables  = 4096
	mostColumns = 2000 // SQLite's own limit
)

// Table yields the rows of the table called name, each with the values of the columns that are
// asked for, in that order. A row that was written before a column was added has nil there. Yield
// gets a slice that is its own. A database without the table, or a table without one of the
// columns, is refused.
func (d *DB) Table(name string, columns []string, yield func(row []Value) error) error {
	root, at, err := d.find(name, columns)
	if err != nil {
		return err
	}
	return d.rows(root, func(_ int64, row []Value) error {
		out := make([]Value, len(at))
		for i, c := range at {
			if c < len(row) {
				out[i] = row[c]
			}
		}
		return yield(out)
	})
}

// Has tells whether there is a table called name.
func (d *DB) Has(name string) bool {
	_, _, err := d.find(name, nil)
	return err == nil
}

// find is where the table begins, and where in its rows the columns stand.
func (d *DB) find(name string, columns []string) (root uint32, at []int, err error) {
	var sql string
	tables := 0
	err = d.rows(schemaRoot, func(_ int64, row []Value) error { // type, name, tbl_name, rootpage, sql
		if tables++; tables > mostTables {
			return wrong("it has more than %d tables and indexes", mostTables)
		}
		if len(row) < 5 || row[0] != "table" || row[1] != name {
			return nil
		}
		n, _ := row[3].(int64)
		text, _ := row[4].(string)
		if n <= 0 || n > int64(d.pages) {
			return wrong("table %s begins nowhere", name)
		}
		root, sql = uint32(n), text
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	if root == 0 {
		return 0, nil, wrong("it has no table %s", name)
	}
	have := columnsOf(sql)
	for _, c := range columns {
		i := indexFold(have, c)
		if i < 0 {
			return 0, nil, wrong("table %s has no column %s", name, c)
		}
		at = append(at, i)
	}
	return root, at, nil
}

func indexFold(all []string, name string) int {
	for i, s := range all {
		if strings.EqualFold(s, name) {
			return i
		}
	}
	return -1
}

// columnsOf are the columns of CREATE TABLE name (column type ..., CONSTRAINT ...), in their order.
func columnsOf(sql string) (out []string) {
	_, body, found := strings.Cut(sql, "(")
	if !found {
		return nil
	}
	var quote byte
	depth, from := 1, 0
	for i := 0; i < len(body) && len(out) < mostColumns; i++ {
		c := body[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
			continue
		case c == '\'' || c == '"' || c == '`':
			quote = c
			continue
		case c == '(':
			depth++
			continue
		case c == ')':
			depth--
		}
		if depth == 0 || c == ',' && depth == 1 {
			if name := columnName(body[from:i]); name != "" {
				out = append(out, name)
			}
			from = i + 1
		}
		if depth == 0 {
			break
		}
	}
	return out
}

// columnName is the name that a piece of the list defines; "" where it defines no column.
func columnName(piece string) string {
	piece = strings.TrimSpace(piece)
	if piece == "" {
		return ""
	}
	if q := strings.IndexByte("\"`[", piece[0]); q >= 0 {
		if end := strings.IndexByte(piece[1:], "\"`]"[q]); end >= 0 {
			return piece[1 : 1+end]
		}
		return ""
	}
	word, _, _ := strings.Cut(piece, "(")
	if fields := strings.Fields(word); len(fields) > 0 {
		word = fields[0]
	}
	switch strings.ToUpper(word) {
	case "CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN":
		return ""
	}
	return word
}
