package graph

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/google/uuid"

	"sibyl/persistence"
)

// Sizes of pages.
const (
	defaultPage = 20
	maxPage     = 500
)

// cursorKind says which list, in which order, a cursor is of: it means nothing in another.
type cursorKind byte

const (
	cursorInput                    cursorKind = 'i'
	cursorPrediction               cursorKind = 'n'
	cursorPredictionOldest         cursorKind = 'o'
	cursorPredictionLeastConfident cursorKind = 'l'
	cursorPredictionMostConfident  cursorKind = 'm'
)

// predictionCursors are the kinds of the orders.
var predictionCursors = map[persistence.PredictionOrder]cursorKind{
	"":                              cursorPrediction,
	persistence.OrderNewest:         cursorPrediction,
	persistence.OrderOldest:         cursorPredictionOldest,
	persistence.OrderLeastConfident: cursorPredictionLeastConfident,
	persistence.OrderMostConfident:  cursorPredictionMostConfident,
}

// A cursor is its kind, an ID, in a list by confidence the confidence of a row that has one, and a checksum that tells a
// mistyped one from an old one, in URL-safe Base64.
const (
	cursorIDAt         = 1
	cursorConfidenceAt = cursorIDAt + 16
	cursorLongest      = cursorConfidenceAt + 8 + crc32.Size
)

func encodeCursor(kind cursorKind, key persistence.Key) string {
	raw := make([]byte, 0, cursorLongest)
	raw = append(raw, byte(kind))
	raw = append(raw, key.ID[:]...)
	if key.Confidence != nil {
		raw = binary.BigEndian.AppendUint64(raw, math.Float64bits(*key.Confidence))
	}
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return base64.RawURLEncoding.EncodeToString(raw)
}

func decodeCursor(kind cursorKind, text string) (*persistence.Key, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	sumAt := len(raw) - crc32.Size
	if err != nil || sumAt < cursorConfidenceAt || binary.BigEndian.Uint32(raw[sumAt:]) != crc32.ChecksumIEEE(raw[:sumAt]) {
		return nil, badUserInput("%.64q is no cursor", text)
	}
	if raw[0] != byte(kind) {
		return nil, badUserInput("the cursor %.64q is of another list or order", text)
	}
	key := &persistence.Key{ID: uuid.UUID(raw[cursorIDAt:cursorConfidenceAt])}
	switch rest := raw[cursorConfidenceAt:sumAt]; {
	case len(rest) == 0:
		return key, nil
	case len(rest) == 8 && kind.byConfidence():
		confidence := math.Float64frombits(binary.BigEndian.Uint64(rest))
		key.Confidence = &confidence
		return key, nil
	}
	return nil, badUserInput("%.64q is no cursor", text)
}

func (k cursorKind) byConfidence() bool {
	return k == cursorPredictionLeastConfident || k == cursorPredictionMostConfident
}

// pageArgs are the arguments of a connection field.
type pageArgs struct {
	first  *int32
	after  *string
	last   *int32
	before *string
}

// page checks the arguments.
func (a pageArgs) page(kind cursorKind) (p persistence.Page, err error) {
	p.Limit = defaultPage
	switch {
	case a.first != nil && a.last != nil:
		return p, badUserInput("first and last exclude each other")
	case a.first != nil:
		p.Limit, err = pageSize("first", *a.first)
	case a.last != nil:
		p.Backward = true
		p.Limit, err = pageSize("last", *a.last)
	}
	if err == nil && a.after != nil {
		p.After, err = decodeCursor(kind, *a.after)
	}
	if err == nil && a.before != nil {
		p.Before, err = decodeCursor(kind, *a.before)
	}
	return p, err
}

func pageSize(name string, n int32) (int, error) {
	if n < 0 || n > maxPage {
		return 0, badUserInput("%s is %d: it must be from 0 to %d", name, n, maxPage)
	}
	return int(n), nil
}

// list is what a connection needs to know of the list that it is a page of.
type list struct {
	kind  cursorKind
	count func(context.Context) (int, error)
	// any tells whether there is a row at the key or beyond it, forward or backward.
	any func(ctx context.Context, at persistence.Key, forward bool) (bool, error)
}

// PageInfo tells where a page lies in its list. What needs another look at the list is asked only when selected.
type PageInfo struct {
	StartCursor, EndCursor *string

	list list
	page persistence.Page
	more bool
}

// HasNextPage tells whether the list goes on after the page.
func (i *PageInfo) HasNextPage(ctx context.Context) (bool, error) {
	if i.more && !i.page.Backward {
		return true, nil
	}
	return i.beyond(ctx, i.page.Before, true)
}

// HasPreviousPage tells whether the list has something before the page.
func (i *PageInfo) HasPreviousPage(ctx context.Context) (bool, error) {
	if i.more && i.page.Backward {
		return true, nil
	}
	return i.beyond(ctx, i.page.After, false)
}

// beyond tells whether there is anything at the cursor that cut the page, or beyond it.
func (i *PageInfo) beyond(ctx context.Context, at *persistence.Key, forward bool) (bool, error) {
	if at == nil {
		return false, nil
	}
	return i.list.any(ctx, *at, forward)
}

// newPageInfo makes the cursors of a page's ends.
func newPageInfo[T any](
	l list, p persistence.Page, s persistence.Slice[T], key func(cursorKind, T) persistence.Key,
) *PageInfo {
	info := &PageInfo{list: l, page: p, more: s.More}
	if n := len(s.Rows); n > 0 {
		start, end := encodeCursor(l.kind, key(l.kind, s.Rows[0])), encodeCursor(l.kind, key(l.kind, s.Rows[n-1]))
		info.StartCursor, info.EndCursor = &start, &end
	}
	return info
}

// PredictionConnection is a page of a list of predictions.
type PredictionConnection struct {
	Nodes    []*persistence.Prediction
	PageInfo *PageInfo
}

// Edges returns the nodes with their cursors.
func (c *PredictionConnection) Edges() []*PredictionEdge {
	edges := make([]*PredictionEdge, len(c.Nodes))
	for i, node := range c.Nodes {
		kind := c.PageInfo.list.kind
		edges[i] = &PredictionEdge{Cursor: encodeCursor(kind, predictionKey(kind, node)), Node: node}
	}
	return edges
}

// TotalCount counts the whole list.
func (c *PredictionConnection) TotalCount(ctx context.Context) (int, error) {
	return c.PageInfo.list.count(ctx)
}

// InputConnection is a page of a list of inputs.
type InputConnection struct {
	Nodes    []*persistence.Input
	PageInfo *PageInfo
}

// Edges returns the nodes with their cursors.
func (c *InputConnection) Edges() []*InputEdge {
	edges := make([]*InputEdge, len(c.Nodes))
	for i, node := range c.Nodes {
		kind := c.PageInfo.list.kind
		edges[i] = &InputEdge{Cursor: encodeCursor(kind, inputKey(kind, node)), Node: node}
	}
	return edges
}

// TotalCount counts the whole list.
func (c *InputConnection) TotalCount(ctx context.Context) (int, error) {
	return c.PageInfo.list.count(ctx)
}

// predictionKey is a prediction's place in a list of the kind.
func predictionKey(kind cursorKind, p *persistence.Prediction) persistence.Key {
	key := persistence.Key{ID: uuid.UUID(p.ID)}
	if kind.byConfidence() {
		key.Confidence = p.Confidence
	}
	return key
}

func inputKey(_ cursorKind, in *persistence.Input) persistence.Key {
	return persistence.Key{ID: uuid.UUID(in.ID)}
}
