// Encryption of galleries by Apple's frameworks; on other systems this module is empty, and `GallerySealing` of
// FaceAllCore is the place for another implementation.
