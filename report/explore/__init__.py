"""The runs that the page carries with it, for its reader to sort, filter and open: tables -> compact columns."""
