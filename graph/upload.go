package graph

import "io"

// Upload is one file of a multipart request. The transport makes it; it must not be changed afterwards.
type Upload struct {
	// Filename is the name the client gave, cleaned of directories; empty where it gave none.
	Filename string
	// Data are the bytes of the file.
	Data []byte
	// Err is set instead of Data where the file was refused by itself, for example as too large: only the field that
	// uses it fails.
	Err error
}

// errNoUpload is of everything else that stands in an Upload's place, which a literal does always.
var errNoUpload = &Error{Code: CodeValidationFailed, Message: "an Upload must be a file of a multipart request"}

// UnmarshalGQL takes the file that the transport put in the variable's place.
func (u *Upload) UnmarshalGQL(v any) error {
	upload, ok := v.(Upload)
	if !ok {
		return errNoUpload
	}
	*u = upload
	return nil
}

// MarshalGQL is never called: an Upload is only ever an argument.
func (u Upload) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, "null") }
