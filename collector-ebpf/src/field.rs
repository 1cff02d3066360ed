//! Fields of kernel structures, whose offsets are known at load time only.

use core::{arch::asm, ptr};

use aya_ebpf::helpers::generated;
use collector_ebpf::{ABSENT, Offsets};

/// A kernel structure, of which fields are read at offsets known at load time
/// only.
#[repr(C)]
pub(crate) struct Kernel {
    _opaque: [u8; 0],
}

/// The offsets of the fields in the running kernel. Set and frozen by the loader,
/// so that the verifier knows each offset and prunes the branches for absent
/// fields.
#[unsafe(no_mangle)]
pub(crate) static FIELD_OFFSETS: Offsets = Offsets::UNKNOWN;

/// The frozen value of an element of [`FIELD_OFFSETS`].
#[inline(always)]
pub(crate) fn frozen(offset: &u32) -> u32 {
    // SAFETY: a reference is valid for reads. The read is volatile because the
    // compiler must not use the value in this object.
    unsafe { ptr::read_volatile(offset) }
}

/// The value at an offset of a structure, read by a helper; the default of its
/// type if the offset is [`ABSENT`]. Verifiers before 5.13 do not follow a field
/// into an array of a typedef.
#[inline(always)]
pub(crate) fn load_by_helper<T: Copy + Default>(base: *const Kernel, offset: u32) -> T {
    let mut value = T::default();
    if offset != ABSENT {
        // SAFETY: the destination has the size of the type; the helper checks
        // the source.
        unsafe {
            generated::bpf_probe_read_kernel(
                (&raw mut value).cast(),
                size_of::<T>() as u32,
                base.byte_add(offset as usize).cast(),
            );
        }
    }
    value
}

/// A type as which a field can be read.
pub(crate) trait Value {
    /// The value of the field of a placeholder; zero if the kernel has no such
    /// field.
    fn load<const PLACEHOLDER: i16>(base: *const Kernel) -> Self;
}

macro_rules! value {
    ($type:ty, $size:literal) => {
        impl Value for $type {
            #[inline(always)]
            fn load<const PLACEHOLDER: i16>(base: *const Kernel) -> Self {
                let value: u64;
                // SAFETY: the loader writes the offset from the kernel's BTF into
                // this instruction, and the verifier checks the access against
                // the BTF.
                unsafe {
                    asm!(
                        concat!("{value} = *(", $size, " *)({base} + {place})"),
                        value = out(reg) value,
                        base = in(reg) base,
                        place = const PLACEHOLDER,
                        options(pure, readonly, nostack, preserves_flags),
                    );
                }
                value as Self
            }
        }
    };
}

value!(u8, "u8");
value!(u32, "u32");
value!(u64, "u64");

/// The offset of a field, or [`ABSENT`].
macro_rules! offset {
    ($name:ident) => {
        $crate::field::frozen(&$crate::field::FIELD_OFFSETS.$name)
    };
}

/// The value of a field; zero if the kernel has no such field.
macro_rules! field {
    ($base:expr, $name:ident: $type:ty) => {{
        const { assert!(size_of::<$type>() == collector_ebpf::Offsets::$name()) };
        <$type as $crate::field::Value>::load::<
            { collector_ebpf::placeholder(core::mem::offset_of!(collector_ebpf::Offsets, $name)) },
        >($base)
    }};
}

/// The value of a field that is a pointer to a structure; null if the kernel
/// has no such field.
macro_rules! pointer {
    ($base:expr, $name:ident) => {
        $crate::field::field!($base, $name: u64) as *const $crate::field::Kernel
    };
}

pub(crate) use field;
pub(crate) use offset;
pub(crate) use pointer;
