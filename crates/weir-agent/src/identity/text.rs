//! Text that others have chosen: it is made harmless where it is read.

pub use weir_record::printable;
