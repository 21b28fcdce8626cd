import { FacetError } from "../../errors.js";
import { writeFileAtomic } from "../atomicFile.js";
import { float32ToBfloat16, float32ToFloat16 } from "../dtypes.js";
import type { NumberType } from "./datatypes.js";
import { type Hdf5GroupToWrite, Layout, padded } from "./layout.js";

/**
 * Writes an HDF5 file as h5py does for Keras (see `readHdf5`), whole or not at all; data lie in the order of the tree.
 * Throws a FacetError for data that do not fill their shape.
 */
export function writeHdf5(path: string, root: Hdf5GroupToWrite): void {
  const layout = new Layout(root);
  writeFileAtomic(path, fileBytes(path, layout));
}

function* fileBytes(path: string, { metadata, datasets }: Layout): Iterable<Uint8Array> {
  yield metadata;
  for (const { name, dataset, byteLength } of datasets) {
    let written = 0;
    for (const piece of dataset.data()) {
      const bytes = storedBytes(dataset.type, piece);
      written += bytes.length;
      yield bytes;
    }
    if (written !== byteLength) {
      throw new FacetError(
        `Cannot write ${path}: ${name} has ${written} bytes, not the ${byteLength} of [${dataset.shape}].`,
      );
    }
    yield new Uint8Array(padded(written) - written);
  }
}

function storedBytes(type: NumberType, piece: Float32Array | Uint8Array): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  const stored =
    type === "BF16" ? float32ToBfloat16(piece) : type === "F16" ? float32ToFloat16(piece) : piece;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}
