package transport

import (
	"slices"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// maxDocumentErrors bounds what is told of a document, and the places of each error: some have thousands.
const maxDocumentErrors = 50

// documentErrors are the first of a document's errors. Those that say the same are one, with all their places: a mistake
// that is repeated needs no answer that is many times as long as the document.
func documentErrors(errs gqlerror.List) gqlerror.List {
	told := make(gqlerror.List, 0, min(len(errs), maxDocumentErrors))
	known := make(map[string]*gqlerror.Error, cap(told))
	for _, err := range errs {
		same := known[err.Message]
		switch {
		case same != nil && len(err.Path) == 0:
			addLocations(same, err.Locations)
		case len(told) < maxDocumentErrors:
			first := *err
			first.Locations = slices.Clone(err.Locations)
			told = append(told, &first)
			if len(err.Path) == 0 {
				known[err.Message] = &first
			}
		}
	}
	return told
}

// addLocations adds those that an error does not have yet: there are rules that complain of one place twice.
func addLocations(e *gqlerror.Error, more []gqlerror.Location) {
	for _, location := range more {
		if len(e.Locations) < maxDocumentErrors && !slices.Contains(e.Locations, location) {
			e.Locations = append(e.Locations, location)
		}
	}
}
