package transport

import "sibyl/graph"

// fewFiles is up to how many files are looked for one by one.
const fewFiles = 8

// files are those of a form, by the names of their parts. Nearly all forms have one, and a map for it would take more memory
// than the image of a digit does. The zero value has none.
type files struct {
	all    []namedFile
	places map[string]int // in all; nil while they are few
}

type namedFile struct {
	name string
	graph.Upload
}

// add adds a file of a part that has none.
func (f *files) add(name string, file graph.Upload) {
	f.all = append(f.all, namedFile{name, file})
	switch {
	case f.places != nil:
		f.places[name] = len(f.all) - 1
	case len(f.all) > fewFiles:
		f.places = make(map[string]int)
		for i := range f.all {
			f.places[f.all[i].name] = i
		}
	}
}

// find returns the file of a part.
func (f *files) find(name string) (file graph.Upload, came bool) {
	if f.places != nil {
		i, came := f.places[name]
		if came {
			file = f.all[i].Upload
		}
		return file, came
	}
	for i := range f.all {
		if f.all[i].name == name {
			return f.all[i].Upload, true
		}
	}
	return file, false
}
