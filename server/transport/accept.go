package transport

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// answerType is a media type in which an answer can be given.
type answerType string

const (
	// plainJSON is what clients older than the specification understand: request errors have status 200 there.
	plainJSON answerType = "application/json"
	// graphqlResponse is the specification's own type: request errors have status 400 there.
	graphqlResponse answerType = "application/graphql-response+json"
	// eventStreamType is a stream of Server-Sent Events, each of which has an answer.
	eventStreamType answerType = "text/event-stream"
)

// contentTypes are values of the Content-Type header, which answers share.
var contentTypes = map[answerType][]string{
	plainJSON:       {string(plainJSON) + "; charset=utf-8"},
	graphqlResponse: {string(graphqlResponse) + "; charset=utf-8"},
}

// exactly is the specificity of a range that names the type itself.
const exactly = 3

// preference is how much a client wants one media type.
type preference struct {
	quality     float64 // 0 … 1; 0: not acceptable
	specificity int     // 0 nothing said, 1 `*/*`, 2 `application/*`, 3 the type itself
	position    int     // of the range that said so, in the header
}

// events says which answers a client takes as an event stream.
type events int

const (
	noEvents events = iota
	// subscriptionEvents are those of subscriptions, which can come in no other way.
	subscriptionEvents
	// allEvents are those of queries and mutations, too: there is nothing the client would like better.
	allEvents
)

// wanted is what a client wants.
type wanted struct {
	answer answerType
	events events
}

// negotiate chooses the type of the answer by the Accept header (RFC 9110, 12.5.1): the higher quality wins, then what
// is named more exactly, then what is named first. No header, an empty one, and `*/*` mean application/json. It reports
// false where no type is acceptable.
func negotiate(h http.Header) (wanted, bool) {
	accept := strings.Join(h["Accept"], ",")
	if strings.Trim(accept, ", \t") == "" {
		return wanted{answer: plainJSON}, true
	}
	plain, own, stream := preferences(accept)
	w := wanted{answer: plainJSON}
	best := plain
	if own.beats(plain) {
		w.answer, best = graphqlResponse, own
	}
	if stream.specificity == exactly && stream.quality > 0 {
		w.events = subscriptionEvents
		if stream.beats(best) {
			// What is refused has a status and no events.
			w.answer, w.events, best = graphqlResponse, allEvents, stream
		}
	}
	return w, best.quality > 0
}

func (p preference) beats(q preference) bool {
	switch {
	case p.quality != q.quality:
		return p.quality > q.quality
	case p.specificity != q.specificity:
		return p.specificity > q.specificity
	default:
		return p.quality > 0 && p.position < q.position
	}
}

// preferences reads an Accept header; ranges that cannot be parsed count for nothing.
func preferences(accept string) (plain, own, stream preference) {
	for position := 0; accept != ""; position++ {
		var text string
		text, accept = cutRange(accept)
		mediaRange, params, err := mime.ParseMediaType(text)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, ok := params["q"]; ok {
			if quality, err = strconv.ParseFloat(q, 64); err != nil || !(quality >= 0 && quality <= 1) {
				continue
			}
		}
		plain.learn(plainJSON, mediaRange, quality, position)
		own.learn(graphqlResponse, mediaRange, quality, position)
		stream.learn(eventStreamType, mediaRange, quality, position)
	}
	return plain, own, stream
}

// cutRange cuts the first media range off an Accept header: what stands before a comma that is not in quotes, where a
// backslash may stand before any character (RFC 9110, 5.6.4).
func cutRange(accept string) (mediaRange, rest string) {
	quoted := false
	for i := 0; i < len(accept); i++ {
		switch c := accept[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return accept[:i], accept[i+1:]
		}
	}
	return accept, ""
}

// learn takes note of a media range that covers the type t, unless a more exact one was seen.
func (p *preference) learn(t answerType, mediaRange string, quality float64, position int) {
	specificity := 0
	switch mediaRange {
	case "*/*":
		specificity = 1
	case "application/*":
		if t == eventStreamType {
			return
		}
		specificity = 2
	case string(t):
		specificity = exactly
	}
	if specificity > p.specificity {
		*p = preference{quality, specificity, position}
	}
}
