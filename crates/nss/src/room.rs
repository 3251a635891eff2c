//! The caller's buffer, into which an answer has to fit with all that it points to.

use std::mem::{align_of, size_of};

/// There is no room left: the caller has to come again with a larger buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// What is left of a buffer.
pub(crate) struct Room {
    next: *mut u8,
    left: usize,
}

impl Room {
    /// # Safety
    /// `buffer` points to `length` bytes that nothing else uses while this value and what is put into it are in use, or `length` is 0.
    pub(crate) unsafe fn new(buffer: *mut libc::c_char, length: usize) -> Room {
        Room {
            next: buffer.cast(),
            left: if buffer.is_null() { 0 } else { length },
        }
    }

    /// Room for `count` values, aligned, not yet written.
    pub(crate) fn take<T>(&mut self, count: usize) -> Result<*mut T, Full> {
        let skip = self.next.align_offset(align_of::<T>());
        let bytes = size_of::<T>().checked_mul(count).ok_or(Full)?;
        let all = skip.checked_add(bytes).ok_or(Full)?;
        if all > self.left {
            return Err(Full);
        }
        // SAFETY: skip + bytes lie within the buffer, as just compared.
        let (start, next) = unsafe { (self.next.add(skip), self.next.add(all)) };
        self.next = next;
        self.left -= all;
        Ok(start.cast())
    }

    /// A copy of the bytes, aligned as T.
    pub(crate) fn put<T: Copy>(&mut self, values: &[T]) -> Result<*mut T, Full> {
        let place = self.take::<T>(values.len())?;
        // SAFETY: `take` gave room for as many values, aligned; the source is a live slice elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), place, values.len()) };
        Ok(place)
    }

    /// A copy of the text, with a NUL at its end.
    pub(crate) fn text(&mut self, text: &[u8]) -> Result<*mut libc::c_char, Full> {
        let place = self.take::<u8>(text.len().checked_add(1).ok_or(Full)?)?;
        // SAFETY: `take` gave room for the text and one byte more.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), place, text.len());
            *place.add(text.len()) = 0;
        }
        Ok(place.cast())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is put, wherever the buffer begins: all within it, aligned, nothing over another.
        #[test]
        fn what_is_put_lies_apart_within_the_buffer(
            start in 0usize..9,
            length in 0usize..80,
            wants in prop::collection::vec((any::<bool>(), 0usize..9), 0..9),
        ) {
            let mut memory = [0u8; 96];
            let base = memory.as_mut_ptr() as usize + start;
            // SAFETY: start + length is at most 88, and nothing else uses the memory.
            let mut room = unsafe { Room::new(memory.as_mut_ptr().add(start).cast(), length) };
            let mut end = base;
            for (pointers, count) in wants {
                let (place, size, align) = if pointers {
                    (room.take::<*const u8>(count).map(|p| p as usize), 8 * count, 8)
                } else {
                    (room.text(&vec![b'x'; count]).map(|p| p as usize), count + 1, 1)
                };
                let Ok(place) = place else { continue };
                prop_assert!(place >= end && place + size <= base + length);
                prop_assert_eq!(place % align, 0);
                end = place + size;
            }
        }
    }
}
