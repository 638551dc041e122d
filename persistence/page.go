package persistence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Key is a row's place in a list: what the list is ordered by.
type Key struct {
	// Confidence is the row's in a list that is ordered by it; nil where the row has none, and in other lists.
	Confidence *float64
	ID         uuid.UUID
}

// Page asks for a part of a list by keyset: no row is repeated and none missed while others insert.
type Page struct {
	// Limit bounds the rows; 0 asks for none.
	Limit int
	// Backward takes the last rows of the list instead of the first; they come in the list's order all the same.
	Backward bool
	// After and Before cut the list to what lies strictly between them, in the list's order; nil cuts nothing.
	After, Before *Key
}

// Slice is the part of a list that a Page asked for.
type Slice[T any] struct {
	// Rows are in the list's order.
	Rows []T
	// More says that the list, cut by After and Before, goes on beyond Limit, in the direction of the page.
	More bool
}

// slice cuts the one row that was read to see whether there are more, and turns a backward page round.
func slice[T any](rows []T, p Page) Slice[T] {
	more := len(rows) > p.Limit
	if more {
		rows = rows[:p.Limit]
	}
	if p.Backward {
		slices.Reverse(rows)
	}
	return Slice[T]{Rows: rows, More: more}
}

// bound cuts a list at a key, to what lies beyond it in the list's order.
type bound struct {
	key Key
	// short takes what lies before the key instead, and with the row at the key itself too.
	short, with bool
}

// bounds are the page's.
func (p Page) bounds() []bound {
	var bounds []bound
	if p.After != nil {
		bounds = append(bounds, bound{key: *p.After})
	}
	if p.Before != nil {
		bounds = append(bounds, bound{key: *p.Before, short: true})
	}
	return bounds
}

// onwards is the bound from a key on, in the list's order or against it.
func onwards(at Key, forward bool) []bound { return []bound{{key: at, short: !forward, with: true}} }

// order is what a list is sorted by: columns that together tell rows apart, all in one direction.
type order struct {
	columns    string
	key        func(Key) []any
	descending bool
}

// byID orders by a column of UUIDv7, so by time.
func byID(column string, descending bool) order {
	return order{column, func(k Key) []any { return []any{k.ID} }, descending}
}

// clause is ORDER BY and LIMIT, for reading in the order's direction or backwards.
func (o order) clause(backward bool, limit int) string {
	direction := " ASC"
	if o.descending != backward {
		direction = " DESC"
	}
	return fmt.Sprintf("\nORDER BY %s\nLIMIT %d", strings.ReplaceAll(o.columns, ",", direction+",")+direction, limit)
}

// conditions is the WHERE clause of a list: only what is asked for stands in it, so that each combination gets a plan
// of its own. Values are always arguments.
type conditions struct {
	clauses []string
	args    []any
}

// add appends a condition in which each $? stands for one of the values.
func (c *conditions) add(clause string, values ...any) {
	for _, value := range values {
		c.args = append(c.args, value)
		clause = strings.Replace(clause, "$?", fmt.Sprintf("$%d", len(c.args)), 1)
	}
	c.clauses = append(c.clauses, clause)
}

// where returns the clause, or nothing where there is no condition.
func (c *conditions) where() string {
	if len(c.clauses) == 0 {
		return ""
	}
	return "\nWHERE " + strings.Join(c.clauses, "\n  AND ")
}

// within adds the bounds of a list in an order.
func (c *conditions) within(bounds []bound, o order) {
	for _, b := range bounds {
		comparison := ">"
		if o.descending != b.short {
			comparison = "<"
		}
		if b.with {
			comparison += "="
		}
		values := o.key(b.key)
		marks := strings.Repeat(", $?", len(values))[2:]
		c.add(fmt.Sprintf("(%s) %s (%s)", o.columns, comparison, marks), values...)
	}
}
