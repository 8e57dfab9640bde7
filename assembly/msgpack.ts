/**
 * A bounded msgpack reader over the inbox: it never reads past `end`, takes any
 * width of an unsigned integer, and fails by a flag instead of an exception.
 * It knows only what hot frames are made of; everything else is skipped whole.
 */

export let at: usize = 0;
export let end: usize = 0;
export let failed: bool = false;
/** Where the bytes of the last readBin begin. */
export let binAt: usize = 0;

const DEPTH_MAX = 8;

export function begin(from: usize, to: usize): void {
  at = from;
  end = to;
  failed = false;
}

function fail(): u64 {
  failed = true;
  return 0;
}

// @ts-ignore: decorator
@inline
function left(bytes: usize): bool {
  return end - at >= bytes;
}

export function readUint(): u64 {
  if (!left(1)) return fail();
  const head = load<u8>(at);
  at += 1;
  if (head < 0x80) return head;
  if (head == 0xcc && left(1)) {
    at += 1;
    return load<u8>(at - 1);
  }
  if (head == 0xcd && left(2)) {
    at += 2;
    return bswap<u16>(load<u16>(at - 2));
  }
  if (head == 0xce && left(4)) {
    at += 4;
    return bswap<u32>(load<u32>(at - 4));
  }
  if (head == 0xcf && left(8)) {
    at += 8;
    return bswap<u64>(load<u64>(at - 8));
  }
  return fail();
}

/** The number of elements of an array whose header is here. */
export function readArray(): u32 {
  if (!left(1)) return <u32>fail();
  const head = load<u8>(at);
  at += 1;
  if ((head & 0xf0) == 0x90) return head & 0x0f;
  if (head == 0xdc && left(2)) {
    at += 2;
    return bswap<u16>(load<u16>(at - 2));
  }
  return <u32>fail();
}

/** The length of the byte string here; its bytes begin at binAt. */
export function readBin(): u32 {
  if (!left(2)) return <u32>fail();
  const head = load<u8>(at);
  let length: u32 = 0;
  if (head == 0xc4) {
    length = load<u8>(at + 1);
    at += 2;
  } else if (head == 0xc5 && left(3)) {
    length = bswap<u16>(load<u16>(at + 1));
    at += 3;
  } else if (head == 0xc6 && left(5)) {
    length = bswap<u32>(load<u32>(at + 1));
    at += 5;
  } else {
    return <u32>fail();
  }
  if (!left(length)) return <u32>fail();
  binAt = at;
  at += length;
  return length;
}

function skipBytes(bytes: u64): void {
  if (<u64>(end - at) < bytes) failed = true;
  else at += <usize>bytes;
}

/** Steps over one value of any type, extensions excepted; nested at most eight deep. */
export function skip(depth: i32 = 0): void {
  if (depth > DEPTH_MAX || !left(1)) {
    failed = true;
    return;
  }
  const head = load<u8>(at);
  at += 1;
  if (head < 0x80 || head >= 0xe0 || head == 0xc0 || head == 0xc2 || head == 0xc3) return;
  let children: u64 = 0;
  if (head < 0x90) children = <u64>(head & 0x0f) * 2;
  else if (head < 0xa0) children = head & 0x0f;
  else if (head < 0xc0) return skipBytes(head & 0x1f);
  else if (head == 0xc4 || head == 0xd9) return skipBytes(left(1) ? 1 + <u64>load<u8>(at) : 1);
  else if (head == 0xc5 || head == 0xda) return skipBytes(left(2) ? 2 + <u64>bswap<u16>(load<u16>(at)) : 2);
  else if (head == 0xc6 || head == 0xdb) return skipBytes(left(4) ? 4 + <u64>bswap<u32>(load<u32>(at)) : 4);
  else if (head == 0xca) return skipBytes(4);
  else if (head == 0xcb) return skipBytes(8);
  else if (head >= 0xcc && head <= 0xcf) return skipBytes(1 << (head - 0xcc));
  else if (head >= 0xd0 && head <= 0xd3) return skipBytes(1 << (head - 0xd0));
  else if ((head == 0xdc || head == 0xde) && left(2)) {
    children = <u64>bswap<u16>(load<u16>(at)) * (head == 0xde ? 2 : 1);
    at += 2;
  } else {
    failed = true;
    return;
  }
  // A child takes at least one byte: a header that promises more than is left is a lie.
  if (children > <u64>(end - at)) {
    failed = true;
    return;
  }
  for (let i: u64 = 0; i < children && !failed; i++) skip(depth + 1);
}
